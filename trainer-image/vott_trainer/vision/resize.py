"""Decode an image at the network's size; a large JPEG is decoded at a fraction of its own size."""

import contextlib
from pathlib import Path

from PIL import Image

from vott_trainer.data import pixel_limits
from vott_trainer.data.decoding import open_file, open_rgb
from vott_trainer.data.orientation import SIDEWAYS, orientation_of, turned
from vott_trainer.data.pixel_limits import MAX_PIXELS

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
Scale = tuple[float, float]  # pixels of the resized image for each pixel of the file, across and down
REDUCING_GAP = 2.0  # Pillow first reduces images of more than twice the size by a whole factor, which is fast


def load_resized(path: Path, image_size: int, *, square: bool = False) -> tuple[Image.Image, Scale]:
    """Decode an image that `image_download` has accepted, and resize it.

    Args:
        image_size: pixels of its longer side; with `square`, of both sides, whatever its shape.

    Returns:
        The image as `open_rgb` returns it, but resized, and the scale.
    """
    return _from_large_jpeg(path, image_size, square=square) or _from_any(path, image_size, square=square)


def _from_large_jpeg(path: Path, image_size: int, *, square: bool) -> tuple[Image.Image, Scale] | None:
    """Decode at a half, a quarter or an eighth of both sides, as JPEG's cosine transform allows; None if not possible.

    If a side is not divisible, only a part of the last decoded row or column belongs to the image: `box` excludes the rest.
    The box refers to the image before its EXIF rotation, so the rotation is applied last.
    """
    with contextlib.suppress(*TOO_LARGE), open_file(path) as image:
        whole = image.size
        size = _resized(whole, image_size, square=square)
        drafted = image.draft(None, (int(size[0] * REDUCING_GAP), int(size[1] * REDUCING_GAP)))
        pixels = whole[0] * whole[1]
        if not drafted or image.size == whole or pixels > MAX_PIXELS:
            return None
        with pixel_limits.BUDGET.reserved(pixels):  # a progressive JPEG is held in memory at full size
            small = image.resize(size, Image.Resampling.BILINEAR, box=drafted[1], reducing_gap=REDUCING_GAP)
        x, y = _scale(whole, size)
        orientation = orientation_of(image)
        scale = (y, x) if orientation in SIDEWAYS else (x, y)
        return turned(small.convert("RGB"), orientation), scale
    return None  # `open_rgb` raises with the reason


def _from_any(path: Path, image_size: int, *, square: bool) -> tuple[Image.Image, Scale]:
    image = open_rgb(path)
    size = _resized(image.size, image_size, square=square)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP), _scale(image.size, size)


def _resized(size: tuple[int, int], image_size: int, *, square: bool) -> tuple[int, int]:
    """Return the width and height after resizing, in whole pixels."""
    if square:
        return image_size, image_size
    scale = image_size / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _scale(size: tuple[int, int], resized: tuple[int, int]) -> Scale:
    return resized[0] / size[0], resized[1] / size[1]
