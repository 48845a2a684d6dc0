"""RetinaNet and Faster R-CNN by torchvision, with as many detections as are asked for."""

from typing import Any

from torch import nn
from torchvision.models import detection

from vott_trainer.vision.architectures import CANDIDATES


def retinanet_resnet50_fpn_v2(*, max_detections: int, **options: Any) -> nn.Module:
    """Build RetinaNet (Lin et al., 2017, arXiv:1708.02002)."""
    model: nn.Module = detection.retinanet_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        detections_per_img=max_detections,
        topk_candidates=CANDIDATES * max_detections,
        **options,
    )
    return model


def fasterrcnn_resnet50_fpn_v2(*, max_detections: int, **options: Any) -> nn.Module:
    """Build Faster R-CNN (Ren et al., 2015, arXiv:1506.01497)."""
    model: nn.Module = detection.fasterrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        box_detections_per_img=max_detections,
        rpn_pre_nms_top_n_test=CANDIDATES * max_detections,
        rpn_post_nms_top_n_test=CANDIDATES * max_detections,
        **options,
    )
    return model
