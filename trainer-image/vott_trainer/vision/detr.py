"""The DETRs of `transformers` (RF-DETR, D-FINE), which come with the extra `detr`, with torchvision's convention."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vott_trainer.errors import InvalidParametersError
from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.precision import in_float32

Targets = Sequence[Mapping[str, Tensor]]


class Detr(nn.Module):
    """A DETR that takes squares. An image of another shape or size is stretched, and its boxes are in its own pixels.

    Args:
        network: a network of `transformers` for object detection.
        losses: replaces its `loss_function`; with the same arguments, returns SummedLosses.
        side: of the squares, in pixels.
        mean: of the pixels' channels, which is subtracted.
        std: by which they are divided then.
    """

    network: Any
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: Any,
        losses: Callable[..., SummedLosses],
        side: int,
        mean: Sequence[float] = (0, 0, 0),
        std: Sequence[float] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.network, self.side = network, side
        compute = in_float32(losses)
        network.loss_function = lambda *outputs, **named: (None, compute(*outputs, **named), None)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1), persistent=False)

    @property
    def max_detections(self) -> int:
        """The most objects that it finds in an image: one for each query."""
        return int(self.network.config.num_queries)

    def forward(self, images: Sequence[Tensor] | Tensor, targets: Targets | None = None) -> Any:
        """Return the losses in training, else a list of {boxes, labels, scores}, best first."""
        pixels = (self._squares(images) - self.mean) / self.std
        if not self.training:
            return self._detections(self.network(pixels), images)
        assert targets is not None
        return self.network(pixels, labels=_relative(images, targets)).loss_dict

    def _squares(self, images: Sequence[Tensor] | Tensor) -> Tensor:
        if isinstance(images, Tensor) and images.shape[-2:] == (self.side, self.side):
            return images
        return torch.stack([self._square(image) for image in images])

    def _square(self, image: Tensor) -> Tensor:
        if image.shape[-2:] == (self.side, self.side):
            return image
        return functional.interpolate(image[None], (self.side, self.side), mode="bilinear", antialias=True)[0]

    def _detections(self, output: Any, images: Sequence[Tensor] | Tensor) -> list[dict[str, Tensor]]:
        scores = output.logits.float().sigmoid()  # [images, queries, classes]
        classes = scores.shape[-1]
        best, places = scores.flatten(1).topk(min(self.max_detections, scores[0].numel()), dim=1)
        corners = _corners(output.pred_boxes.float())
        return [
            {
                "boxes": corners[number][place // classes] * _extent(image),
                "labels": place % classes + 1,
                "scores": score,
            }
            for number, (image, score, place) in enumerate(zip(images, best, places, strict=True))
        ]


def transformers_module() -> Any:
    """Import `transformers`.

    Raises:
        InvalidParametersError: the packages are not installed.
    """
    try:
        importlib.import_module(
            "scipy"
        )  # which transformers imports only in the first step, to match predictions and objects
        return importlib.import_module("transformers")
    except ImportError as error:
        raise InvalidParametersError(
            f"RF-DETR and D-FINE need packages that this trainer image lacks ({error}). Choose another architecture, or build the "
            "image with them: pip install 'vott-trainer[detr]'."
        ) from error


def nearest_side(image_size: int, step: int, smallest: int) -> int:
    """Return the multiple of `step` that is nearest to `image_size`, but at least `smallest`."""
    return max(smallest, round(image_size / step) * step)


def number_of_boxes(targets: Targets, device: torch.device) -> Tensor:
    """Return the number of boxes of all images, a scalar, without waiting for a GPU."""
    return torch.full((), sum(len(target["boxes"]) for target in targets), dtype=torch.float32, device=device)


def _extent(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return torch.tensor([width, height, width, height], dtype=torch.float32, device=image.device)


def _relative(images: Sequence[Tensor] | Tensor, targets: Targets) -> list[dict[str, Tensor]]:
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
