"""RetinaNet and Faster R-CNN by torchvision, with as many detections as are asked for."""

from typing import Any

from torch import nn
from torchvision.models import detection

from vott_trainer.vision.architectures import CANDIDATES

MIN_PROPOSALS = 1000  # as in torchvision
PROPOSALS = 2  # for each detection; each takes as much memory as a small image


def retinanet_resnet50_fpn_v2(*, num_classes: int, image_size: int, max_detections: int) -> nn.Module:
    """Build RetinaNet (Lin et al., 2017, arXiv:1708.02002)."""
    model: nn.Module = detection.retinanet_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        detections_per_img=max_detections,
        topk_candidates=CANDIDATES * max_detections,
        min_size=image_size,
        max_size=image_size,
    )
    return model


def fasterrcnn_resnet50_fpn_v2(*, num_classes: int, image_size: int, max_detections: int) -> nn.Module:
    """Build Faster R-CNN (Ren et al., 2015, arXiv:1506.01497)."""
    model: nn.Module = detection.fasterrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        box_detections_per_img=max_detections,
        min_size=image_size,
        max_size=image_size,
        **proposals(max_detections),
    )
    return model


def proposals(max_detections: int) -> dict[str, Any]:
    """Return how many regions Faster R-CNN and Mask R-CNN consider on each level, and then classify, on an image that is measured."""
    return {
        "rpn_pre_nms_top_n_test": CANDIDATES * max_detections,
        "rpn_post_nms_top_n_test": max(MIN_PROPOSALS, PROPOSALS * max_detections),
    }
