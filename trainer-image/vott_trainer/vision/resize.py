"""Images at the size that a network sees: of a large JPEG no more is decoded than that needs."""

import contextlib
from pathlib import Path

from PIL import Image, ImageOps

from vott_trainer.data import pixel_limits
from vott_trainer.data.decoding import FORMATS, open_rgb
from vott_trainer.data.pixel_limits import MAX_PIXELS

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
GAP = 2.0  # what is more than twice as large is shrunk in two steps: at first to a whole fraction, which is quick


def load_shrunk(path: Path, image_size: int) -> tuple[Image.Image, float]:
    """Decode an image that `image_download` has accepted and scale its longer side to `image_size`.

    Returns:
        The image as `open_rgb` gives it, but smaller, and the scale (pixels there for each pixel of the file).
    """
    return _from_large_jpeg(path, image_size) or _from_any(path, image_size)


def _from_large_jpeg(path: Path, image_size: int) -> tuple[Image.Image, float] | None:
    """Decode at a half, a quarter or an eighth of both sides, which JPEG's cosine transform allows; None where that is not possible.

    Sides need not be multiples of these: the last row and column then stand for less than a whole pixel, so `box` is what is scaled.
    It lies as in the file, hence the image is turned afterwards.
    """
    with contextlib.suppress(*TOO_LARGE), Image.open(path, formats=FORMATS) as image:
        whole = image.size
        scale, size = _shown(whole, image_size)
        drafted = image.draft(None, (int(size[0] * GAP), int(size[1] * GAP)))
        pixels = whole[0] * whole[1]
        if not drafted or image.size == whole or pixels > MAX_PIXELS:
            return None
        with pixel_limits.BUDGET.reserved(pixels):  # of a progressive JPEG everything is held, whatever the fraction
            small = image.resize(size, Image.Resampling.BILINEAR, box=drafted[1], reducing_gap=GAP)
        ImageOps.exif_transpose(small, in_place=True)
        return small.convert("RGB"), scale
    return None  # `open_rgb` says why


def _from_any(path: Path, image_size: int) -> tuple[Image.Image, float]:
    image = open_rgb(path)
    scale, size = _shown(image.size, image_size)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=GAP), scale


def _shown(size: tuple[int, int], image_size: int) -> tuple[float, tuple[int, int]]:
    """Return the scale, and width and height at it."""
    scale = image_size / max(size)
    return scale, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
