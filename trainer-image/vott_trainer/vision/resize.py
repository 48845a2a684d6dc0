"""Decode an image at the network's size; a large JPEG is decoded at a fraction of its own size."""

import contextlib
from pathlib import Path

from PIL import Image, ImageOps

from vott_trainer.data import pixel_limits
from vott_trainer.data.decoding import FORMATS, open_rgb
from vott_trainer.data.pixel_limits import MAX_PIXELS

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
REDUCING_GAP = 2.0  # Pillow first reduces images of more than twice the size by a whole factor, which is fast


def load_resized(path: Path, image_size: int) -> tuple[Image.Image, float]:
    """Decode an image that `image_download` has accepted, and scale its longer side to `image_size`.

    Returns:
        The image as `open_rgb` returns it, but scaled, and the scale: the number of its pixels for each pixel of the file.
    """
    return _from_large_jpeg(path, image_size) or _from_any(path, image_size)


def _from_large_jpeg(path: Path, image_size: int) -> tuple[Image.Image, float] | None:
    """Decode at a half, a quarter or an eighth of both sides, as JPEG's cosine transform allows; None if not possible.

    If a side is not divisible, only a part of the last decoded row or column belongs to the image: `box` excludes the rest.
    The box refers to the image before its EXIF rotation, so the rotation is applied last.
    """
    with contextlib.suppress(*TOO_LARGE), Image.open(path, formats=FORMATS) as image:
        whole = image.size
        scale, size = _scaled(whole, image_size)
        drafted = image.draft(None, (int(size[0] * REDUCING_GAP), int(size[1] * REDUCING_GAP)))
        pixels = whole[0] * whole[1]
        if not drafted or image.size == whole or pixels > MAX_PIXELS:
            return None
        with pixel_limits.BUDGET.reserved(pixels):  # a progressive JPEG is held in memory at full size
            small = image.resize(size, Image.Resampling.BILINEAR, box=drafted[1], reducing_gap=REDUCING_GAP)
        ImageOps.exif_transpose(small, in_place=True)
        return small.convert("RGB"), scale
    return None  # `open_rgb` raises with the reason


def _from_any(path: Path, image_size: int) -> tuple[Image.Image, float]:
    image = open_rgb(path)
    scale, size = _scaled(image.size, image_size)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP), scale


def _scaled(size: tuple[int, int], image_size: int) -> tuple[float, tuple[int, int]]:
    """Return the scale, and the scaled width and height."""
    scale = image_size / max(size)
    return scale, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
