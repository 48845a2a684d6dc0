"""A branch that adds masks to a single-stage detector, as YOLACT does (Bolya et al., 2019, arXiv:1904.02689).

A few prototype masks of the whole image are learned from the finest features. Each location predicts how to add them up to the mask of its
object, which is then cut to the object's box.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

PROTOTYPES = 32
STRIDE = 4  # pixels of an image for each pixel of a mask
MAX_TRAINED = 100  # locations of an image that learn masks in a step, chosen at random
TINY = 1e-6
MAX_MASKS = 1000  # detections on an image: each has a mask of the image's size
ENLARGED = 1.2  # of a predicted box that a mask is cut to: the box may fit less well than the mask


class MaskBranch(nn.Module):
    """Prototypes and coefficients.

    Args:
        channels: of the feature maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.prototypes = nn.Sequential(
            *_conv(channels),
            *_conv(channels),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            *_conv(channels),
            nn.Conv2d(channels, PROTOTYPES, 1),
        )
        self.coefficients = nn.Sequential(*_conv(channels), nn.Conv2d(channels, PROTOTYPES, 3, padding=1))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return prototypes [B, P, H, W] at STRIDE and coefficients [B, N, P] of the locations of all maps, in float32.

        Args:
            maps: feature maps [B, C, h, w], the finest, at stride 8, first.
        """
        coefficients = [self.coefficients(features).flatten(2).transpose(1, 2).float().tanh() for features in maps]
        return self.prototypes(maps[0]).float(), torch.cat(coefficients, dim=1)


def _conv(channels: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.GroupNorm(16, channels), nn.ReLU(inplace=True)


def masks_of(prototypes: Tensor, coefficients: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Return the masks of the objects on one image, float [K, H, W] in 0..1.

    Args:
        prototypes: of the image, [P, h, w].
        coefficients: of the objects, [K, P].
        boxes: of the objects, [K, 4] in pixels.
        size: height and width of the image.
    """
    logits = torch.einsum("kp,phw->khw", coefficients, prototypes)
    height, width = size
    full = functional.interpolate(logits[:, None], scale_factor=float(STRIDE), mode="bilinear")[:, 0]
    return full[:, :height, :width].sigmoid() * _inside(_enlarged(boxes), height, width)


def mask_loss(
    prototypes: Tensor, coefficients: Tensor, objects: Tensor, weights: Tensor, boxes: Tensor, masks: Tensor
) -> Tensor:
    """Return the weighted sum of cross entropy and dice loss of the masks at the locations of one image.

    Args:
        prototypes: of the image, [P, h, w].
        coefficients: of the locations, [K, P].
        objects: the number of each location's object, [K].
        weights: of the locations, [K].
        boxes: of the objects, [M, 4] in pixels; both losses look only there.
        masks: of the objects inside their boxes, [M, h, w], 0 or 1.
    """
    if len(coefficients) > MAX_TRAINED:
        chosen = torch.randperm(len(coefficients), device=coefficients.device)[:MAX_TRAINED]
        share = weights[chosen].sum() / weights.sum().clamp(min=TINY)
        coefficients, objects, weights = coefficients[chosen], objects[chosen], weights[chosen] / share.clamp(min=TINY)
    targets = masks[objects].float()
    inside = _inside(boxes[objects] / STRIDE, *targets.shape[1:])
    logits = torch.einsum("kp,phw->khw", coefficients, prototypes)
    entropies = functional.binary_cross_entropy_with_logits(logits, targets, inside, reduction="none")
    entropy = entropies.sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp(min=1)
    predicted = logits.sigmoid() * inside
    sums = (predicted * targets, predicted**2, targets**2)
    overlap, area, true_area = (values.sum(dim=(1, 2)) for values in sums)
    dice = 1 - (2 * overlap + 1) / (area + true_area + 1)
    return ((entropy + dice) * weights).sum()


def _enlarged(boxes: Tensor) -> Tensor:
    centres, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * ENLARGED
    return torch.cat((centres - halves, centres + halves), dim=1)


def _inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return 1 for the pixels [K, height, width] that touch the boxes [K, 4], else 0."""
    x, y = torch.arange(width, device=boxes.device), torch.arange(height, device=boxes.device)
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    columns, rows = (x + 1 > left) & (x < right), (y + 1 > top) & (y < bottom)
    return (rows[:, :, None] & columns[:, None, :]).float()
