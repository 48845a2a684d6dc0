"""Color augmentation: brightness, contrast, saturation and hue as one linear map of RGB for each image, applied on the device."""

import math
import random

import torch
from torch import Tensor

BRIGHTNESS = 0.12  # offset; pixels are 0..1
CONTRAST, SATURATION = (0.75, 1.3), (0.6, 1.5)  # factors
HUE = math.radians(12)  # rotation
TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])  # NTSC, 1953
FROM_YIQ = torch.linalg.inv(TO_YIQ)


def random_colors(rng: random.Random) -> Tensor:
    """Draw a map [3, 4]: a matrix for RGB in 0..1, and an offset."""
    contrast, saturation = _factor(rng, CONTRAST), _factor(rng, SATURATION)
    angle, brightness = rng.uniform(-HUE, HUE), rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    cosine, sine = saturation * math.cos(angle), saturation * math.sin(angle)
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    matrix = contrast * (FROM_YIQ @ turn @ TO_YIQ)
    offset = 0.5 + brightness - contrast * 0.5  # contrast is around grey, which the other matrices keep
    return torch.cat((matrix, torch.full((3, 1), offset)), dim=1)


def _factor(rng: random.Random, limits: tuple[float, float]) -> float:
    """Draw a factor; halving is as likely as doubling."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


def recolored(images: Tensor, colors: Tensor) -> Tensor:
    """Convert uint8 images [B, 3, H, W] to float in 0..1 with the colors [B, 3, 4] of each."""
    pixels = images.flatten(2).float() / 255
    with torch.autocast(
        images.device.type, enabled=False
    ):  # bfloat16 has 8 bits for what the held-out images have exactly
        mapped = torch.baddbmm(colors[:, :, 3:], colors[:, :, :3], pixels).clamp_(0, 1)
    return mapped.view(images.shape).contiguous(memory_format=torch.channels_last)
