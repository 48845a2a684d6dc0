"""Width and height of an image after its EXIF rotation, without decoding it where possible."""

import mmap
import re
from pathlib import Path

from PIL import ExifTags, Image

from vott_trainer.data import pixel_limits
from vott_trainer.data.decoding import opened
from vott_trainer.data.pixel_limits import MAX_PIXELS, decoded_pixels

SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
PNG_ORIENTATION = re.compile(rb"eXIf|Raw profile type exif|XML:com\.adobe\.xmp")  # PNG chunks


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image as a browser shows it."""
    with opened(path, MAX_PIXELS) as image:
        return (image.height, image.width) if _is_shown_sideways(path, image) else image.size


def is_sideways(image: Image.Image) -> bool:
    """Return whether `ImageOps.exif_transpose` would swap its width and height."""
    return image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS


def _is_shown_sideways(path: Path, image: Image.Image) -> bool:
    if image.format == "PNG" and not _contains(PNG_ORIENTATION, path):
        return False  # Pillow would decode the image, to read chunks after the pixels
    with pixel_limits.BUDGET.reserved(decoded_pixels(path, image)):
        return is_sideways(image)


def _contains(pattern: re.Pattern[bytes], path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return bool(pattern.search(content))
