"""Augmentation of training images: horizontal flip, shift, contrast and brightness."""

import random

import torch
from torch import Tensor
from torch.nn import functional

FLIPPED = 0.5  # share of the images
SHIFT = 8  # an image is shifted by up to 1/8 of its side
CONTRAST, BRIGHTNESS = (0.8, 1.2), (-0.1, 0.1)  # factor around grey, and offset; pixels are 0..1


def flipped(pixels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Flip an image [C, H, W] horizontally with its boxes [N, 4] (x1, y1, x2, y2)."""
    width = pixels.shape[-1]
    corners = (width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3])
    return pixels.flip(-1), torch.stack(corners, dim=1)


def shifted_and_flipped(pixels: Tensor, rng: random.Random) -> Tensor:
    """Shift a square image at random, and flip half of them; the border pixels fill the gap."""
    side = pixels.shape[-1]
    reach = side // SHIFT
    left, top = rng.randint(0, 2 * reach), rng.randint(0, 2 * reach)
    image = pixels.flip(-1) if rng.random() < FLIPPED else pixels
    padded = functional.pad(image[None].float(), (reach,) * 4, mode="replicate")[0].to(torch.uint8)
    return padded[:, top : top + side, left : left + side]


def random_tone(rng: random.Random) -> tuple[float, float]:
    """Draw contrast and brightness."""
    return rng.uniform(*CONTRAST), rng.uniform(*BRIGHTNESS)


def toned(pixels: Tensor, contrast: float | Tensor, brightness: float | Tensor) -> Tensor:
    """Convert uint8 pixels to float in 0..1 with the given contrast and brightness."""
    return ((pixels.float() / 255 - 0.5) * contrast + 0.5 + brightness).clamp_(0, 1)
