"""Width and height of an image after its EXIF rotation, and that rotation, without decoding it where possible."""

import mmap
import re
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vott_trainer.data import pixel_limits
from vott_trainer.data.decoding import opened
from vott_trainer.data.orientation import NORMAL, SIDEWAYS, orientation_of
from vott_trainer.data.pixel_limits import MAX_PIXELS

PNG_ORIENTATION = re.compile(rb"eXIf|Raw profile type exif|XML:com\.adobe\.xmp")  # PNG chunks


class Shown(NamedTuple):
    """An image as a browser shows it: width and height in pixels, and the EXIF orientation that was applied."""

    size: tuple[int, int]
    orientation: int


def shown(path: Path) -> Shown:
    """Return how a browser shows an image."""
    with opened(path, MAX_PIXELS) as image:
        orientation = _orientation(path, image)
        if orientation in SIDEWAYS and image.format != "TIFF":  # which Pillow has turned already
            return Shown((image.height, image.width), orientation)
        return Shown(image.size, orientation)


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image as a browser shows it."""
    return shown(path).size


def _orientation(path: Path, image: Image.Image) -> int:
    if image.format == "PNG" and not _contains(PNG_ORIENTATION, path):
        return NORMAL  # Pillow would decode the image, to read chunks after the pixels
    with pixel_limits.reserved(path, image):
        return orientation_of(image)


def _contains(pattern: re.Pattern[bytes], path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return bool(pattern.search(content))
