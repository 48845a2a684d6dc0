"""Task-aligned assignment of objects to locations, and the losses that go with it.

From TOOD (Feng et al., 2021, arXiv:2108.07755): a location is trained to find an object if it already scores and overlaps well there.
Its score is trained towards that overlap, so that scores rank boxes by how well they fit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

TOP = 10  # locations of an object
SCORE_POWER, OVERLAP_POWER = 1.0, 6.0
NEGATIVE_WEIGHT, NEGATIVE_POWER = 0.75, 2.0  # of the varifocal loss (Zhang et al., 2021, arXiv:2008.13367)
BOX_WEIGHT = 2.0
TINY = 1e-9


@dataclass(frozen=True)
class Assignment:
    """What each location of one image learns: `objects` [N] is its object's number or -1; `scores` [N, C] is 0 to 1."""

    objects: Tensor
    scores: Tensor


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, centers: Tensor, strides: Tensor, truth: Tensor, classes: Tensor
) -> Assignment:
    """Assign objects to the locations of one image.

    Args:
        scores: predicted, [N, C] in 0..1.
        boxes: predicted, [N, 4] as x1, y1, x2, y2 in pixels.
        centers: of the locations, [N, 2] in pixels.
        strides: of the locations, [N, 1].
        truth: the objects' boxes, [M, 4].
        classes: the objects' classes, [M] from 0.
    """
    targets = torch.zeros_like(scores)
    if not len(truth):
        return Assignment(torch.full((len(scores),), -1, device=scores.device), targets)
    overlaps = box_iou(truth, boxes)  # [M, N]
    alignment = scores[:, classes].T ** SCORE_POWER * overlaps**OVERLAP_POWER
    candidates = _inside(truth, centers, strides)
    alignment = (alignment + TINY) * candidates  # an object that no location overlaps yet gets some all the same
    best, places = alignment.topk(min(TOP, len(scores)), dim=1)
    chosen = torch.zeros_like(candidates).scatter_(1, places, best > 0)
    overlaps_chosen = torch.where(chosen, overlaps, -1.0)
    overlap, objects = overlaps_chosen.max(dim=0)  # a location between two objects learns the one it overlaps most
    is_positive = overlap >= 0
    chosen &= torch.arange(len(truth), device=objects.device)[:, None] == objects
    alignment, overlaps = alignment * chosen, overlaps * chosen
    highest = alignment.amax(dim=1, keepdim=True).clamp(min=TINY)
    normalized = (alignment / highest * overlaps.amax(dim=1, keepdim=True)).amax(dim=0)  # [N]
    positive = is_positive.nonzero().flatten()
    targets[positive, classes[objects[positive]]] = normalized[positive].to(targets.dtype)
    return Assignment(torch.where(is_positive, objects, -1), targets)


def _inside(truth: Tensor, centers: Tensor, strides: Tensor) -> Tensor:
    """Return whether each location [N] may learn each object [M], as [M, N]: its center is in the box.

    Boxes are grown to the stride, so that there is a location for each object, however small.
    """
    middle, half = (truth[:, :2] + truth[:, 2:]) / 2, (truth[:, 2:] - truth[:, :2]) / 2
    is_inside = torch.ones(len(truth), len(centers), dtype=torch.bool, device=truth.device)
    for axis in (0, 1):
        reach = torch.maximum(half[:, axis, None], strides[:, 0] / 2)
        is_inside &= (centers[:, axis] - middle[:, axis, None]).abs() <= reach
    return is_inside


def varifocal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of the varifocal loss of scores, [N, C]: positives weigh as much as their targets."""
    probabilities = logits.detach().sigmoid()
    weights = torch.where(targets > 0, targets, NEGATIVE_WEIGHT * probabilities**NEGATIVE_POWER)
    return functional.binary_cross_entropy_with_logits(logits, targets, weights, reduction="sum")


def box_loss(boxes: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the GIoU losses of boxes [N, 4]; `weights` is [N]."""
    losses: Tensor = generalized_box_iou_loss(boxes, truth)
    return BOX_WEIGHT * (losses * weights).sum()
