"""The detectors by name, with random weights: nothing is downloaded.

All follow torchvision's convention: images are a list of float [3, H, W] in 0..1, or one tensor [B, 3, H, W]; targets are a list of
{boxes: [N, 4] as x1, y1, x2, y2 in pixels, labels: [N] from 1}; in training `forward` returns the losses, else a list of {boxes, labels,
scores}.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal

from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from vott_trainer.learning.initial_weights import Head
from vott_trainer.vision.architectures import MIN_DETECTIONS, Architecture, Build
from vott_trainer.vision.d_fine import d_fine
from vott_trainer.vision.efficientnet_lite import backbone_weights
from vott_trainer.vision.fcos import fcos_resnet50_fpn, fcos_tiny
from vott_trainer.vision.lite_detector import LiteDetector
from vott_trainer.vision.precision import keep_boxes_in_float32
from vott_trainer.vision.rf_detr import rf_detr
from vott_trainer.vision.torchvision_detectors import fasterrcnn_resnet50_fpn_v2, retinanet_resnet50_fpn_v2

IMAGES_SHOWN, EPOCHS = 20_000, 30  # by default, on a GPU
QUERIES = 300  # of every DETR here
CLASSIFICATION_LOSSES = ("classification", "loss_classifier")

DetectorName = Literal[
    "fcos_tiny",
    "efficientnet_lite0_fpn",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fasterrcnn_resnet50_fpn_v2",
    "rf_detr_nano",
    "rf_detr_small",
    "rf_detr_medium",
    "rf_detr_large",
    "d_fine_nano",
    "d_fine_small",
]


def build(
    name: str,
    labels: int,
    image_size: int,
    *,
    pretrained: bool = False,
    max_detections: int = MIN_DETECTIONS,
    architectures: Mapping[str, Architecture] | None = None,
) -> nn.Module:
    """Build the detector `name` with random weights.

    Args:
        labels: number of classes.
        image_size: longer side of the images, in pixels.
        pretrained: whether it will get trained weights. Batch normalization then keeps their statistics, which the few images of a step
            would spoil; torchvision does so in FCOS.
        max_detections: the most detections on an image; a DETR returns as many as it has queries.
        architectures: by name; by default DETECTORS.
    """
    architecture = (architectures or DETECTORS)[name]
    limit = {} if architecture.queries else {"max_detections": max_detections}
    model = architecture.build(num_classes=labels + 1, image_size=image_size, **limit)
    model = keep_boxes_in_float32(model)
    return _with_frozen_batch_norm(model) if pretrained and architecture.freeze_batch_norm else model


def _with_frozen_batch_norm(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.BatchNorm2d):
        return FrozenBatchNorm2d(module.num_features, module.eps)  # type: ignore[no-any-return]
    for name, child in module.named_children():
        setattr(module, name, _with_frozen_batch_norm(child))
    return module


def _of_torchvision(build: Build, learning_rate: float, heads: tuple[Head, ...]) -> Architecture:
    return Architecture(build, 800, 8, learning_rate, IMAGES_SHOWN, EPOCHS, heads, _RESNET, freeze_batch_norm=True)


def _rf_detr(name: str, size: int) -> Architecture:
    heads = (Head("network.class_embed."), Head("network.model.enc_out_class_embed."))
    build, backbone = partial(rf_detr, name), ("network.model.backbone.",)
    return Architecture(build, size, 8, 1e-4, IMAGES_SHOWN, EPOCHS, heads, backbone, square=True, queries=QUERIES)


def _d_fine(name: str, learning_rate: float) -> Architecture:
    heads = (
        Head("network.model.decoder.class_embed."),
        Head("network.model.enc_score_head."),
        Head("network.model.denoising_class_embed.", extra=1, extra_last=True),
    )
    return Architecture(
        partial(d_fine, name),
        640,
        8,
        learning_rate,
        IMAGES_SHOWN,
        EPOCHS,
        heads,
        ("network.model.backbone.",),
        freeze_batch_norm=True,
        square=True,
        queries=QUERIES,
    )


_SCORES = (Head("head.classification_head.cls_logits.", extra=1),)
_REGIONS = (
    Head("roi_heads.box_predictor.cls_score.", extra=1),
    Head("roi_heads.box_predictor.bbox_pred.", extra=1, rows=4),
)
_RESNET = ("backbone.body.",)
DETECTORS = {
    "fcos_tiny": Architecture(
        fcos_tiny, 160, 8, 2e-3, images_shown=1500, epochs=8, heads=_SCORES, is_large=False, scale=(0.8, 1.2)
    ),
    "efficientnet_lite0_fpn": Architecture(
        LiteDetector,
        320,
        8,
        1e-3,
        images_shown=8000,
        epochs=20,
        heads=(Head("head.scores."),),
        backbone=("backbone.",),
        packaged=backbone_weights,
        largest_image_size=512,
        cpu_batch_size=2,
    ),
    "fcos_resnet50_fpn": _of_torchvision(fcos_resnet50_fpn, 2e-4, _SCORES),
    "retinanet_resnet50_fpn_v2": _of_torchvision(retinanet_resnet50_fpn_v2, 1e-4, _SCORES),
    "fasterrcnn_resnet50_fpn_v2": _of_torchvision(fasterrcnn_resnet50_fpn_v2, 1e-4, _REGIONS),
    "rf_detr_nano": _rf_detr("rf_detr_nano", 384),
    "rf_detr_small": _rf_detr("rf_detr_small", 512),
    "rf_detr_medium": _rf_detr("rf_detr_medium", 576),
    "rf_detr_large": _rf_detr("rf_detr_large", 704),
    # The authors' 8e-4 for 128 images a step and 2e-4 for 32, by the square root of the batch size.
    "d_fine_nano": _d_fine("d_fine_nano", 2e-4),
    "d_fine_small": _d_fine("d_fine_small", 1e-4),
}
ON_CPU, ON_GPU = "efficientnet_lite0_fpn", ("rf_detr_small", "fcos_resnet50_fpn")
