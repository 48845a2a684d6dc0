"""A small backbone that learns from scratch on a CPU in seconds."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    """A residual block of two convolutions."""

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
