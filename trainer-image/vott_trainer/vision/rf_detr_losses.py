"""RF-DETR's losses, as sums over boxes.

`transformers` divides by the mean number of boxes of all processes, for which they communicate in each step, and compares each matched
box with all others of the batch, which takes memory quadratic in their number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_convert, generalized_box_iou_loss

from vott_trainer.plugin_api import SummedLosses
from vott_trainer.vision.detr import number_of_boxes

Targets = Sequence[Mapping[str, Tensor]]
Matches = Sequence[tuple[Tensor, Tensor]]

GAMMA = 2  # exponent of the background's weight, as in the focal loss
MIN_QUALITY = 0.01  # target score of an object whose box is still far off


def rf_detr_losses(
    logits: Tensor,
    labels: Targets,
    device: torch.device,
    _boxes: Tensor,
    config: Any,
    layer_logits: Tensor,
    layer_boxes: Tensor,
    encoder_logits: Tensor,
    encoder_boxes: Tensor,
) -> SummedLosses:
    """Return the losses of all decoder layers and of the encoder; the arguments are those of `transformers`.

    In training there are `group_detr` groups of queries; each finds all objects.

    Args:
        labels: class_labels [N] from 0, and boxes [N, 4] as centre and size, in fractions of the image.
        layer_logits: [layers, images, queries, classes]; the last layer's are `logits`.
        layer_boxes: [layers, images, queries, 4]; the last layer's are `_boxes`.
    """
    from transformers.loss.loss_lw_detr import LwDetrHungarianMatcher

    matcher = LwDetrHungarianMatcher(config.class_cost, config.bbox_cost, config.giou_cost)
    classification, regression = logits.new_zeros(()), logits.new_zeros(())
    for scores, boxes in [*zip(layer_logits, layer_boxes, strict=True), (encoder_logits, encoder_boxes)]:
        matches = matcher({"logits": scores, "pred_boxes": boxes}, labels, config.group_detr)
        queries = _matched_queries(matches)
        truth = torch.cat([one["boxes"][found] for one, (_, found) in zip(labels, matches, strict=True)])
        classes = torch.cat([one["class_labels"][found] for one, (_, found) in zip(labels, matches, strict=True)])
        found, truth_corners = boxes[queries], box_convert(truth, "cxcywh", "xyxy")
        corners = box_convert(found, "cxcywh", "xyxy")
        classification += _class_loss(scores, (*queries, classes), _iou(corners, truth_corners), config.focal_alpha)
        regression += config.bbox_loss_coefficient * functional.l1_loss(found, truth, reduction="sum")
        giou = generalized_box_iou_loss(corners, truth_corners, reduction="sum")
        regression += config.giou_loss_coefficient * giou
    terms = {"classification": config.class_loss_coefficient * classification, "boxes": regression}
    return SummedLosses(terms, config.group_detr * number_of_boxes(labels, device))


def _matched_queries(matches: Matches) -> tuple[Tensor, Tensor]:
    """Return the image number and the query number of each match."""
    images = torch.cat([torch.full_like(queries, number) for number, (queries, _) in enumerate(matches)])
    return images, torch.cat([queries for queries, _ in matches])


def _class_loss(logits: Tensor, objects: tuple[Tensor, ...], iou: Tensor, alpha: float) -> Tensor:
    """Return the sum of binary cross-entropies (equation 1 of LW-DETR, arXiv:2406.03459).

    The target score of an object is a mean of its predicted score and its box's IoU.
    """
    scores = logits.sigmoid()
    quality = (scores[objects] ** alpha * iou ** (1 - alpha)).clamp(min=MIN_QUALITY).detach()
    is_object = torch.zeros_like(scores).index_put(objects, quality)
    is_background = (scores**GAMMA).index_put(objects, 1 - quality)
    return -(is_object * functional.logsigmoid(logits) + is_background * functional.logsigmoid(-logits)).sum()


@torch.no_grad()
def _iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the IoU of each box [N, 4] (x1, y1, x2, y2) with the one at the same index."""
    width, height = (torch.minimum(boxes, others)[:, 2:] - torch.maximum(boxes, others)[:, :2]).clamp(min=0).unbind(1)
    shared = width * height
    both = [(one[:, 2:] - one[:, :2]).clamp(min=0).prod(dim=1) for one in (boxes, others)]
    return shared / (both[0] + both[1] - shared).clamp(min=torch.finfo(boxes.dtype).eps)
