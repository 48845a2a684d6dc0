"""Decode an image to 8-bit RGB: formats, EXIF rotation, transparency, 16-bit channels."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vott_trainer.data import jpeg, pixel_limits
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.pixel_limits import MAX_PIXELS, decoded_pixels

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")  # none of them starts a program, unlike PostScript


def open_rgb(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image as a browser shows it: EXIF rotation applied, transparency over white, 8-bit RGB.

    Of several frames or pages the first is decoded.

    Raises:
        OSError: the file is not an image.
        UnsupportedImageError: it has more than `max_pixels`, 32 bits per channel, or exceeds a JPEG limit.
    """
    with opened(path, max_pixels) as image, pixel_limits.BUDGET.reserved(decoded_pixels(path, image)):
        return _rgb(image)


@contextlib.contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image by its header, without decoding it.

    The file may state its size a second time; Pillow checks that when it decodes.
    """
    if reason := jpeg.why_refused(path):
        raise UnsupportedImageError(reason)
    try:
        with Image.open(path, formats=FORMATS) as image:
            if decoded_pixels(path, image) > max_pixels:
                raise Image.DecompressionBombError
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsupportedImageError(f"more than {max_pixels:,} pixels") from error


def _rgb(image: Image.Image) -> Image.Image:
    """Decode with as few copies as possible."""
    ImageOps.exif_transpose(image, in_place=True)
    decoded = _with_8_bits(image)
    if not decoded.has_transparency_data:
        return decoded if decoded.mode == "RGB" else decoded.convert("RGB")
    decoded = decoded if decoded.mode == "RGBA" else decoded.convert("RGBA")
    over_white = Image.new("RGB", decoded.size, "white")
    over_white.paste(decoded, mask=decoded)
    return over_white


def _with_8_bits(image: Image.Image) -> Image.Image:
    """Keep the upper 8 of 16 bits; Pillow's own conversion clips at 255."""
    if image.mode in ("I", "F"):
        raise UnsupportedImageError("32 bits per channel: save the image with 8 or 16 bits")
    image.load()
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image
