"""A single-stage, anchor-free detector on EfficientNet-Lite0, small enough to be trained on a CPU.

A feature pyramid (Lin et al., 2017, arXiv:1612.03144) and one head for all its levels. Each location predicts a score for each class and
its distances to the four sides of a box, as FCOS does (Tian et al., 2019, arXiv:1904.01355).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import batched_nms, clip_boxes_to_image

from vott_trainer.plugin_api import SummedLosses
from vott_trainer.plugin_api.thresholds import MIN_SCORE
from vott_trainer.vision.architectures import CANDIDATES, MIN_DETECTIONS
from vott_trainer.vision.efficientnet_lite import EfficientNetLite0
from vott_trainer.vision.task_aligned import Assignment, assign, box_loss, varifocal_loss

STRIDES = (8, 16, 32)
WIDTH = 96
GROUPS = 16
LOWEST = math.log(0.01 / 0.99)  # all scores are 0.01 before training (Lin et al., 2017, arXiv:1708.02002)
NMS_IOU = 0.6
REACH = 4.0  # strides; a distance starts at about 0.7 of it
GREY = 127 / 255  # 0 after normalization


@dataclass(frozen=True)
class Predicted:
    """What the locations predict: logits [B, N, classes] and boxes [B, N, 4] in pixels; their centers [N, 2] and strides [N, 1]."""

    logits: Tensor
    boxes: Tensor
    centers: Tensor
    strides: Tensor


class LiteDetector(nn.Module):
    """Follows the convention of `detectors`.

    Args:
        num_classes: labels plus background, as torchvision counts; this network has no class for the latter.
        max_detections: the most on an image.
    """

    def __init__(self, num_classes: int, *, max_detections: int = MIN_DETECTIONS, **_sizes: int) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.pyramid = _Pyramid(self.backbone.channels)
        self.head = _Head(num_classes - 1)
        self.max_detections = max_detections

    def forward(self, images: Sequence[Tensor] | Tensor, targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Return the losses in training, else a list of {boxes, labels, scores}, best first."""
        predicted = self.predict(self.features(images))
        if self.training:
            assert targets is not None
            return losses(predicted, assigned(predicted, targets), targets)
        return [found for found, _ in self.detections(predicted, images)]

    def features(self, images: Sequence[Tensor] | Tensor) -> list[Tensor]:
        """Return the pyramid's maps [B, WIDTH, h, w], the finest first."""
        maps: list[Tensor] = self.pyramid(self.backbone(_batch(images)))
        return maps

    def predict(self, maps: Sequence[Tensor]) -> "Predicted":
        """Return what all locations of the maps predict."""
        logits, distances = self.head(maps)
        centers, strides = _locations(maps)
        return Predicted(logits, _boxes(centers, strides, distances), centers, strides)

    def detections(
        self, predicted: "Predicted", images: Sequence[Tensor] | Tensor
    ) -> list[tuple[dict[str, Tensor], Tensor]]:
        """Return the detections on each image, best first, and the numbers [K] of their locations."""
        rows = zip(predicted.logits.sigmoid(), predicted.boxes, images, strict=True)
        return [self._detections(*row) for row in rows]

    def _detections(self, scores: Tensor, boxes: Tensor, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        classes = scores.shape[-1]
        candidates = CANDIDATES * self.max_detections
        # As many dummies, because the exported model can't choose more than there are in a small image.
        best, places = functional.pad(scores.flatten(), (0, candidates)).topk(candidates)
        is_kept = best > MIN_SCORE
        best, places = best[is_kept], places[is_kept]
        found, labels = clip_boxes_to_image(boxes[places // classes], image.shape[-2:]), places % classes
        kept = batched_nms(found, best, labels, NMS_IOU)[: self.max_detections]
        return {"boxes": found[kept], "labels": labels[kept] + 1, "scores": best[kept]}, places[kept] // classes


class _Pyramid(nn.Module):
    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, WIDTH, 1) for count in channels)
        self.output = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        merged = [lateral(features) for lateral, features in zip(self.lateral, maps, strict=True)]
        for level in range(len(merged) - 1, 0, -1):
            upper = functional.interpolate(merged[level], size=merged[level - 1].shape[-2:])
            merged[level - 1] = merged[level - 1] + upper
        return [output(features) for output, features in zip(self.output, merged, strict=True)]


class _Head(nn.Module):
    """Scores and distances of all levels; group normalization does not depend on the batch."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(*(layer for _ in range(2) for layer in _normalized_conv()))
        self.scores = nn.Conv2d(WIDTH, classes, 3, padding=1)
        self.distances = nn.Conv2d(WIDTH, 4, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(STRIDES)))
        for layer in (self.scores, self.distances):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, LOWEST if layer is self.scores else 0.0)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits [B, N, classes] and distances [B, N, 4] in strides, in float32."""
        logits, distances = [], []
        for features, scale in zip(maps, self.scales, strict=True):
            x = self.tower(features)
            logits.append(_by_location(self.scores(x)))
            # Unlike an exponential, softplus does not let large boxes jump by their own size.
            distances.append(REACH * functional.softplus(_by_location(self.distances(x)) * scale))
        return torch.cat(logits, dim=1), torch.cat(distances, dim=1)


def _normalized_conv() -> tuple[nn.Module, ...]:
    return nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, WIDTH), nn.ReLU(inplace=True)


def _by_location(maps: Tensor) -> Tensor:
    """Reorder [B, C, H, W] to [B, H * W, C], in float32."""
    return maps.flatten(2).transpose(1, 2).float()


def _batch(images: Sequence[Tensor] | Tensor) -> Tensor:
    """Return the images as one tensor [B, 3, H, W] of whole strides; such a tensor is not copied."""
    if isinstance(images, Tensor) and not any(side % STRIDES[-1] for side in images.shape[-2:]):
        return images
    return _padded(_stacked(images))


def _stacked(images: Sequence[Tensor] | Tensor) -> Tensor:
    """Stack images [3, H, W], padded with grey at the right and bottom to the largest height and width."""
    height, width = (max(image.shape[axis] for image in images) for axis in (-2, -1))
    if all(image.shape[-2:] == (height, width) for image in images):
        return torch.stack(list(images))
    return torch.stack(
        [functional.pad(i, (0, width - i.shape[-1], 0, height - i.shape[-2]), value=GREY) for i in images]
    )


def _padded(batch: Tensor) -> Tensor:
    """Pad with grey at the right and bottom to multiples of the coarsest stride: convolutions leave out what does not fill a stride."""
    height, width = batch.shape[-2:]
    return functional.pad(batch, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1]), value=GREY)


def _locations(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the centers [N, 2] and strides [N, 1] of all locations, in pixels."""
    centers, strides = [], []
    for features, stride in zip(maps, STRIDES, strict=True):
        height, width = features.shape[-2:]
        y = (torch.arange(height, device=features.device) + 0.5) * stride
        x = (torch.arange(width, device=features.device) + 0.5) * stride
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
        centers.append(grid)
        strides.append(torch.full_like(grid[:, :1], stride))
    return torch.cat(centers), torch.cat(strides)


def _boxes(centers: Tensor, strides: Tensor, distances: Tensor) -> Tensor:
    """Return boxes [B, N, 4] in pixels from distances to the left, top, right and bottom in strides."""
    pixels = distances * strides
    return torch.cat((centers - pixels[..., :2], centers + pixels[..., 2:]), dim=-1)


def assigned(predicted: Predicted, targets: Sequence[Mapping[str, Tensor]]) -> list[Assignment]:
    """Return what the locations of each image learn."""
    scores, boxes = predicted.logits.detach().sigmoid(), predicted.boxes.detach()
    return [
        assign(
            scores[number], boxes[number], predicted.centers, predicted.strides, target["boxes"], target["labels"] - 1
        )
        for number, target in enumerate(targets)
    ]


def losses(
    predicted: Predicted, assignments: Sequence[Assignment], targets: Sequence[Mapping[str, Tensor]]
) -> SummedLosses:
    """Return the summed losses, and the sum of the target scores to divide them by."""
    found, truth, weights = [], [], []
    for boxes, assignment, target in zip(predicted.boxes, assignments, targets, strict=True):
        positive = (assignment.objects >= 0).nonzero().flatten()
        found.append(boxes[positive])
        truth.append(target["boxes"][assignment.objects[positive]])
        weights.append(assignment.scores[positive].sum(dim=1))
    scores = torch.stack([assignment.scores for assignment in assignments])
    terms = {
        "classification": varifocal_loss(predicted.logits, scores),
        "boxes": box_loss(torch.cat(found), torch.cat(truth), torch.cat(weights)),
    }
    return SummedLosses(terms, scores.sum())
