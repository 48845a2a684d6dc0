"""What tells whether two images show the same scene: a perceptual hash, and when and by which camera the photo was taken.

The hash is a difference hash (dHash: N. Krawetz, "Kind of Like That", 2013): whether brightness rises or falls between neighbours of a
coarse grid. Another size, compression or brightness, and a small shift, change few of its bits.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vott_trainer.data import pixel_limits
from vott_trainer.data.decoding import open_rgb, opened
from vott_trainer.data.orientation import orientation_of, turned
from vott_trainer.data.pixel_limits import MAX_PIXELS
from vott_trainer.process.cpu_count import usable_cpus

GRID = 8  # differences in a row or column
SIDE = GRID * (GRID + 1)  # of the grey picture: whole pixels in the cells of both grids
BITS = 4 * GRID * GRID
FLAT = 1.0  # of 255: a smaller difference between two cells may be noise
AHEAD = 1000  # images with pending signatures
EXIF_TIME = "%Y:%m:%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Signature:
    """The hash, bool [BITS]; the time and the camera of a photo whose EXIF data has both."""

    hash: NDArray[np.bool_]
    taken: datetime | None = None
    camera: str = ""


def signatures(paths: Sequence[Path]) -> list[Signature]:
    """Return the signatures of images that `image_download` has accepted, decoded in threads: 1 ms for a small JPEG."""
    with ThreadPoolExecutor(usable_cpus(), "signatures") as pool:
        blocks = (paths[start : start + AHEAD] for start in range(0, len(paths), AHEAD))
        return [found for block in blocks for found in pool.map(signature, block)]


def signature(path: Path) -> Signature:
    """Return the signature of an image that `image_download` has accepted."""
    with opened(path, MAX_PIXELS) as image:
        if image.format != "JPEG":
            return Signature(_hash(open_rgb(path)))
        with pixel_limits.BUDGET.reserved(image.width * image.height):
            image.draft("L", (SIDE, SIDE))  # decodes at down to an eighth of the size
            small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        return Signature(_hash(turned(small, orientation_of(image))), *_shot(image))


def _hash(image: Image.Image) -> NDArray[np.bool_]:
    """Compare the cells of 9 columns and 8 rows to the right, and those of 8 columns and 9 rows below."""
    grey = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX).convert("L"), np.float32)
    short, long = SIDE // (GRID + 1), SIDE // GRID
    right = np.diff(grey.reshape(GRID, long, GRID + 1, short).mean(axis=(1, 3)), axis=1).ravel()
    below = np.diff(grey.reshape(GRID + 1, short, GRID, long).mean(axis=(1, 3)), axis=0).ravel()
    return np.concatenate([right > FLAT, below > FLAT, right < -FLAT, below < -FLAT])


def _shot(image: Image.Image) -> tuple[datetime | None, str]:
    """Return time and camera; None and an empty text if either is missing or unreadable."""
    with contextlib.suppress(Exception):  # EXIF data may hold anything, and Pillow raises many types on it
        exif = image.getexif()
        camera = f"{exif[ExifTags.Base.Make]} {exif[ExifTags.Base.Model]}"
        return datetime.strptime(exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal], EXIF_TIME), camera  # noqa: DTZ007 # local time
    return None, ""
