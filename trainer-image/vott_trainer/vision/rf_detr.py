"""RF-DETR (Robinson et al., 2025, arXiv:2511.09554) through `transformers`, which comes with the extra `detr`.

The variants published under the Apache licence: nano, small and medium. Images are resized to a square, as in the authors' training.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vott_trainer.errors import InvalidParametersError
from vott_trainer.vision.imagenet import MEAN, STD
from vott_trainer.vision.precision import in_float32

MAX_DETECTIONS = 100  # an image, as COCO counts
PATCH, WINDOWS = 16, 2  # the backbone takes patches of 16 x 16 pixels, in 2 x 2 windows
MIN_SIDE = 288  # pixels; a smaller square has fewer patches than there are queries

BACKBONE = {
    "model_type": "rf_detr_dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "patch_size": PATCH,
    "num_windows": WINDOWS,
    "out_features": ["stage3", "stage6", "stage9", "stage12"],
    "use_mask_token": False,  # nosec B105 # for pre-training only
}


def rf_detr(
    num_classes: int, max_size: int, *, layers: int, native_size: int, min_size: int = 0, **changes: Any
) -> "Detr":
    """Build an RF-DETR with random weights.

    Args:
        num_classes: labels plus background; this network has no class for the latter.
        max_size: the longer side of the images, in pixels.
        layers: decoder layers.
        native_size: side of the square that the position embeddings are for.
        changes: to the configuration, for tests.

    Raises:
        InvalidParametersError: the packages are not installed.
    """
    del min_size  # an option of torchvision's detectors
    config, network = _packages()
    backbone = {**BACKBONE, "image_size": native_size, **changes.pop("backbone", {})}
    settings = {"d_model": 256, "num_queries": 300, "decoder_n_points": 2, "decoder_layers": layers, **changes}
    return Detr(network(config(backbone_config=backbone, num_labels=num_classes - 1, **settings)), max_size)


def _packages() -> tuple[Any, Any]:
    try:
        # transformers imports it only in the first step, to match predictions and objects
        importlib.import_module("scipy")
        from transformers import RfDetrConfig, RfDetrForObjectDetection
    except ImportError as error:
        raise InvalidParametersError(
            f"RF-DETR needs packages that this trainer image lacks ({error}). Choose another architecture, or build the image "
            "with them: pip install 'vott-trainer[detr]'."
        ) from error
    return RfDetrConfig, RfDetrForObjectDetection


class Detr(nn.Module):
    """A DETR of `transformers` with torchvision's convention; boxes are in pixels of the input images."""

    network: Any
    mean: Tensor
    std: Tensor

    def __init__(self, network: Any, image_size: int) -> None:
        super().__init__()
        self.network = network
        self.network.loss_function = in_float32(network.loss_function)
        step = PATCH * WINDOWS
        self.side = max(MIN_SIDE, round(image_size / step) * step)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Return a dict of losses in training, else a list of {boxes, labels, scores}, best first."""
        pixels = torch.stack([self._square(image) for image in images])
        if not self.training:
            return self._detections(self.network(pixels), images)
        assert targets is not None
        return self._losses(self.network(pixels, labels=_relative(images, targets)))

    def _square(self, image: Tensor) -> Tensor:
        resized = functional.interpolate(image[None], (self.side, self.side), mode="bilinear", antialias=True)[0]
        normalized: Tensor = (resized - self.mean) / self.std
        return normalized

    def _losses(self, output: Any) -> dict[str, Tensor]:
        """Return the losses of classes (over all layers) and boxes, with the authors' weights."""
        weight = self.network.config.class_loss_coefficient
        class_losses = [loss for name, loss in output.loss_dict.items() if name.startswith("loss_ce")]
        classification = weight * torch.stack(class_losses).sum()
        return {"classification": classification, "boxes": output.loss - classification}

    def _detections(self, output: Any, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        scores = output.logits.float().sigmoid()  # [images, queries, classes]
        classes = scores.shape[-1]
        best, places = scores.flatten(1).topk(min(MAX_DETECTIONS, scores[0].numel()), dim=1)
        corners = _corners(output.pred_boxes.float())
        return [
            {
                "boxes": corners[number][place // classes] * _extent(image),
                "labels": place % classes + 1,
                "scores": score,
            }
            for number, (image, score, place) in enumerate(zip(images, best, places, strict=True))
        ]


def _extent(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return torch.tensor([width, height, width, height], dtype=torch.float32, device=image.device)


def _relative(images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Convert targets to boxes of centre and size in fractions of the image, and classes from 0."""
    return [
        {"class_labels": target["labels"] - 1, "boxes": _centres(target["boxes"]) / _extent(image)}
        for image, target in zip(images, targets, strict=True)
    ]


def _centres(corners: Tensor) -> Tensor:
    first, last = corners[:, :2], corners[:, 2:]
    return torch.cat(((first + last) / 2, last - first), dim=1)


def _corners(centres: Tensor) -> Tensor:
    centre, half = centres[..., :2], centres[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1).clamp(0, 1)
