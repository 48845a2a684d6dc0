"""Crop arithmetic of the classifier: a whole image or one box of it, fitted into a square."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from vott_trainer.annotations import Box
from vott_trainer.data.decoding import open_rgb
from vott_trainer.vision.resize import load_resized

GREY = (128, 128, 128)  # fills the rest of the square


def load_square(path: Path, size: int, box: Box | None = None) -> Tensor:
    """Decode an image, or a box of it, and fit it into the middle of a square; return uint8 [3, size, size]."""
    if box:
        whole = open_rgb(path)
        image = whole.crop(crop_bounds(box, whole.width, whole.height))
    else:
        image, _ = load_resized(path, size)
    square = ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR, color=GREY)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def crop_bounds(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom in whole pixels inside the image; at least one pixel."""
    left, top = min(max(0, int(box.x)), width - 1), min(max(0, int(box.y)), height - 1)
    right, bottom = round(box.x + box.width), round(box.y + box.height)
    return left, top, min(max(left + 1, right), width), min(max(top + 1, bottom), height)
