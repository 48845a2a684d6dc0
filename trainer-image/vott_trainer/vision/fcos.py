"""FCOS (Tian et al., 2019, arXiv:1904.01355) by torchvision, with losses that can be divided by the objects of a whole step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS, FCOSHead

from vott_trainer.plugin_api import SummedLosses
from vott_trainer.plugin_api.thresholds import MIN_SCORE
from vott_trainer.vision.architectures import CANDIDATES
from vott_trainer.vision.tiny_backbone import TinyBackbone

RESNET_CHANNELS = 256  # of torchvision's feature pyramid


def fcos_resnet50_fpn(*, num_classes: int, image_size: int, max_detections: int) -> nn.Module:
    """Build torchvision's FCOS on a ResNet-50."""
    model: nn.Module = detection.fcos_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        head=SummingHead(RESNET_CHANNELS, num_anchors=1, num_classes=num_classes),
        score_thresh=MIN_SCORE,
        detections_per_img=max_detections,
        topk_candidates=CANDIDATES * max_detections,
        min_size=image_size,
        max_size=image_size,
    )
    return model


def fcos_tiny(*, num_classes: int, image_size: int, max_detections: int) -> nn.Module:
    """Build FCOS on the small backbone."""
    anchors = AnchorGenerator(sizes=((8,), (16,), (32,)), aspect_ratios=((1.0,),) * 3)
    head = SummingHead(TinyBackbone.out_channels, num_anchors=1, num_classes=num_classes, num_convs=1)
    model: nn.Module = FCOS(
        TinyBackbone(),
        num_classes,
        anchor_generator=anchors,
        head=head,
        score_thresh=MIN_SCORE,
        detections_per_img=max_detections,
        topk_candidates=CANDIDATES * max_detections,
        min_size=image_size,
        max_size=image_size,
    )
    return model


class SummingHead(FCOSHead):  # type: ignore[misc] # torchvision has no types
    """FCOS' head with losses as sums over the locations of all objects; torchvision's are means over those of one batch."""

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> SummedLosses:
        """Return the sums, and the number of locations that match an object."""
        means: Mapping[str, Tensor] = super().compute_loss(targets, head_outputs, anchors, matched_idxs)
        locations = (torch.stack(matched_idxs) >= 0).sum()
        return SummedLosses({name: mean * locations.clamp(min=1) for name, mean in means.items()}, locations)
