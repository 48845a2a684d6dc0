"""Decode an image to 8-bit RGB: formats, EXIF rotation, transparency, 16-bit channels."""

import contextlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from vott_trainer.data import jpeg, pixel_limits, tiff_layout
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.file_kinds import why_no_image
from vott_trainer.data.orientation import orientation_of, turned
from vott_trainer.data.pixel_limits import MAX_PIXELS, decoded_pixels
from vott_trainer.data.side_data import without_side_data
from vott_trainer.data.transparency import over_white, scale_transparent_grey

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF")  # none of them starts a program, unlike PostScript


def open_rgb(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image as a browser shows it: EXIF rotation applied, transparency over white, 8-bit RGB.

    Of several frames or pages the first is decoded.

    Raises:
        UnsupportedImageError: the file is no image or damaged, has more than `max_pixels`, or exceeds a limit of its format; the text says what
            it is and what to do.
        OSError: the file can't be read.
    """
    try:
        with opened(path, max_pixels) as image, pixel_limits.reserved(path, image):
            return _rgb(image)
    except (UnsupportedImageError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a decoder may raise anything on damaged bytes
        raise UnsupportedImageError(why_no_image(path)) from error


@contextlib.contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image by its header, without decoding it.

    The file may state its size a second time; Pillow checks that when it decodes.
    """
    if reason := jpeg.why_refused(path):
        raise UnsupportedImageError(reason)
    try:
        with open_file(path) as image:
            if decoded_pixels(path, image) > max_pixels:
                raise Image.DecompressionBombError
            if isinstance(image, TiffImageFile):
                tiff_layout.prepare(path, image)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsupportedImageError(f"more than {max_pixels:,} pixels") from error


def open_file(path: Path) -> Image.Image:
    """Open an image by its header, without any check; if data beside the pixels is damaged, without that."""
    try:
        return Image.open(path, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception:  # Pillow raises many types on damaged data
        content = path.read_bytes()
        if (rest := without_side_data(content)) == content:
            raise
        return Image.open(BytesIO(rest), formats=FORMATS)


def which_frame(path: Path) -> str:
    """Return what to tell about an image with several frames or pages; empty for one, and for the JPEGs of phones with a second frame."""
    with contextlib.suppress(Exception), open_file(path) as image:  # the second frame may be damaged
        if image.format != "MPO" and getattr(image, "is_animated", False):
            frames = "pages" if image.format == "TIFF" else "frames"
            return f"has several {frames}: only the first is used"
    return ""


def _rgb(image: Image.Image) -> Image.Image:
    """Decode with as few copies as possible."""
    scale_transparent_grey(image)
    image.load()  # a PNG may have its EXIF data after the pixels; Pillow turns a TIFF itself
    return turned(over_white(_with_8_bits(image)), orientation_of(image))


def _with_8_bits(image: Image.Image) -> Image.Image:
    """Keep the upper 8 of 16 bits; Pillow's own conversion clips at 255."""
    if isinstance(image, TiffImageFile) and tiff_layout.is_plain_grey(image):
        return tiff_layout.grey_with_8_bits(image)
    if not image.mode.startswith("I;16"):
        return image
    values, transparent = np.asarray(image), image.info.get("transparency")
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if transparent is not None:
        grey.putalpha(Image.fromarray(values != transparent))
    return grey
