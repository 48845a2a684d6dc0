"""The networks that predict masks, by name, with random weights.

They follow the convention of `detectors`. Targets also have masks [N, H / stride, W / stride] of 0 and 1, detections masks [N, H, W] in 0..1.
"""

from dataclasses import replace
from typing import Any, Literal

from torch import nn
from torchvision.models import detection

from vott_trainer.learning.initial_weights import Head
from vott_trainer.vision.detectors import DETECTORS
from vott_trainer.vision.lite_segmenter import LiteSegmenter
from vott_trainer.vision.mask_branch import MAX_MASKS, STRIDE
from vott_trainer.vision.torchvision_detectors import proposals

SegmenterName = Literal["efficientnet_lite0_masks", "maskrcnn_resnet50_fpn_v2"]


def mask_rcnn(*, num_classes: int, image_size: int, max_detections: int) -> nn.Module:
    """Build torchvision's Mask R-CNN (He et al., 2017, arXiv:1703.06870)."""
    limit = min(max_detections, MAX_MASKS)
    model = detection.maskrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        box_detections_per_img=limit,
        min_size=image_size,
        max_size=image_size,
        **proposals(limit),
    )
    return with_flat_masks(model)


def with_flat_masks(model: nn.Module) -> nn.Module:
    """Let a Mask R-CNN of torchvision return masks [N, H, W] instead of [N, 1, H, W]."""
    model.register_forward_hook(lambda module, _images, output: output if module.training else _flat(output))
    return model


def _flat(detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "masks": one["masks"].squeeze(1)} for one in detections]


_FASTER_RCNN = DETECTORS["fasterrcnn_resnet50_fpn_v2"]
SEGMENTERS = {
    "efficientnet_lite0_masks": replace(DETECTORS["efficientnet_lite0_fpn"], build=LiteSegmenter, mask_stride=STRIDE),
    "maskrcnn_resnet50_fpn_v2": replace(
        _FASTER_RCNN,
        build=mask_rcnn,
        heads=(*_FASTER_RCNN.heads, Head("roi_heads.mask_predictor.mask_fcn_logits.", extra=1)),
        mask_stride=1,
    ),
}
ON_CPU, ON_GPU = "efficientnet_lite0_masks", ("maskrcnn_resnet50_fpn_v2",)
