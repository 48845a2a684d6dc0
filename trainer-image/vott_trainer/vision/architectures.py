"""The detectors by name, with random weights: nothing is downloaded. `vott_trainer.learning.weights` knows better ones to begin with.

All speak torchvision's convention: images are a list of float [3, H, W] in 0..1, targets a list of {boxes: [N, 4] as x1, y1, x2, y2 in
pixels, labels: [N] from 1}; in training `forward` returns a dict of losses, else a list of {boxes, labels, scores}.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.ops import FrozenBatchNorm2d

from vott_trainer.learning.weights import Head
from vott_trainer.vision.transformers_detectors import rf_detr

CLASSIFICATION_LOSSES = ("classification", "loss_classifier")
LOWEST_SCORE = 0.05  # detections below it do not count in mAP

Build = Callable[..., nn.Module]
DetectorName = Literal[
    "fcos_tiny",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fasterrcnn_resnet50_fpn_v2",
    "rf_detr_nano",
    "rf_detr_small",
    "rf_detr_medium",
]


@dataclass(frozen=True)
class Architecture:
    """A detector and the settings that suit it.

    `images_shown` is how many images a default training shows the network; `heads` are its parameters that depend on the classes.
    `keeps_statistics`: batch normalization keeps what the weights to begin with bring.
    """

    build: Build
    image_size: int
    batch_size: int
    learning_rate: float
    images_shown: int
    heads: tuple[Head, ...] = ()
    keeps_statistics: bool = False


def build(name: str, labels: int, image_size: int, *, trained: bool = False) -> nn.Module:
    """Make the detector `name` with random weights.

    Args:
        labels: number of classes.
        image_size: longer side of the images, in pixels.
        trained: it will be given weights that have seen many images. The few images of one step would spoil the statistics of
            batch normalization then, and so torchvision keeps them in FCOS.
    """
    architecture = ARCHITECTURES[name]
    model = _precise(architecture.build(num_classes=labels + 1, min_size=image_size, max_size=image_size))
    return _frozen(model) if trained and architecture.keeps_statistics else model


def _precise(model: nn.Module) -> nn.Module:
    """Return the model with anchors and boxes in float32 also where autocast computes the rest in bfloat16.

    torchvision gives anchors the precision of the features, and eight bits place a box at 800 pixels only to within some pixels.
    """
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if last == "anchor_generator":
            module.register_forward_pre_hook(lambda _module, args: (args[0], [one.float() for one in args[1]]))
        elif last in ("head", "box_predictor"):
            module.register_forward_hook(lambda _module, _args, output: _in_float32(output))
    return model


def _in_float32(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return {name: _in_float32(one) for name, one in output.items()}
    return type(output)(_in_float32(one) for one in output)


def _frozen(module: nn.Module) -> nn.Module:
    """Return the module with fixed batch normalization."""
    if isinstance(module, nn.BatchNorm2d):
        return FrozenBatchNorm2d(module.num_features, module.eps)  # type: ignore[no-any-return]
    for name, child in module.named_children():
        setattr(module, name, _frozen(child))
    return module


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    """Two convolutions that learn what to add to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            _conv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.change(x))


class TinyBackbone(nn.Module):
    """A small feature pyramid, 1 million parameters: [B, 3, H, W] to three maps of 64 channels at strides 8, 16 and 32."""

    out_channels = 64

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, width // 2, 2), _conv(width // 2, width, 2), _Residual(width))
        self.widths = widths = (width, 2 * width, 4 * width, 4 * width)
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(before, after, 2), _Residual(after)) for before, after in pairwise(widths)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(channels, self.out_channels, 1) for channels in widths[1:])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map images [B, 3, H, W] to feature maps by level, the finest first."""
        x = self.stem(x)
        maps = [x := stage(x) for stage in self.stages]
        maps = [lateral(features) for lateral, features in zip(self.lateral, maps, strict=True)]
        for fine, coarse in ((1, 2), (0, 1)):
            maps[fine] = maps[fine] + functional.interpolate(maps[coarse], size=maps[fine].shape[-2:])
        return {str(level): features for level, features in enumerate(maps)}


def fcos_tiny(num_classes: int, **options: Any) -> nn.Module:
    """FCOS (Tian et al., 2019, arXiv:1904.01355) on a backbone that learns from scratch on a CPU in seconds."""
    strides = AnchorGenerator(sizes=((8,), (16,), (32,)), aspect_ratios=((1.0,),) * 3)
    head = FCOSHead(TinyBackbone.out_channels, num_anchors=1, num_classes=num_classes, num_convs=1)
    model: nn.Module = FCOS(
        TinyBackbone(), num_classes, anchor_generator=strides, head=head, score_thresh=LOWEST_SCORE, **options
    )
    return model


def _torchvision(model: Build, **fixed: Any) -> Build:
    return lambda **options: model(weights=None, weights_backbone=None, **fixed, **options)


def _rf_detr(layers: int, size: int) -> Architecture:
    heads = (Head("network.class_embed."), Head("network.model.enc_out_class_embed."))
    return Architecture(
        partial(rf_detr, layers=layers, native_size=size), size, 8, 1e-4, images_shown=12_000, heads=heads
    )


_SCORES = (Head("head.classification_head.cls_logits.", extra=1),)
_REGIONS = (
    Head("roi_heads.box_predictor.cls_score.", extra=1),
    Head("roi_heads.box_predictor.bbox_pred.", extra=1, rows=4),
)
ARCHITECTURES = {
    "fcos_tiny": Architecture(fcos_tiny, 160, 8, 2e-3, images_shown=1500, heads=_SCORES),
    "fcos_resnet50_fpn": Architecture(
        _torchvision(detection.fcos_resnet50_fpn, score_thresh=LOWEST_SCORE), 800, 8, 2e-4, 12_000, _SCORES, True
    ),
    "retinanet_resnet50_fpn_v2": Architecture(
        _torchvision(detection.retinanet_resnet50_fpn_v2), 800, 8, 1e-4, 12_000, _SCORES
    ),
    "fasterrcnn_resnet50_fpn_v2": Architecture(
        _torchvision(detection.fasterrcnn_resnet50_fpn_v2), 800, 8, 1e-4, 12_000, _REGIONS
    ),
    "rf_detr_nano": _rf_detr(layers=2, size=384),
    "rf_detr_small": _rf_detr(layers=3, size=512),
    "rf_detr_medium": _rf_detr(layers=4, size=576),
}
ON_CPU, ON_GPU = "fcos_tiny", "fcos_resnet50_fpn"
