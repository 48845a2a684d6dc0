"""Pixel limits: of one image, and of all images decoded concurrently."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from vott_trainer.data import tiff

MAX_PIXELS = 100_000_000  # an image
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow warns beyond it, and raises beyond twice as many
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the trainer checks the size itself


class PixelBudget:
    """Bounds the pixels decoded concurrently by all threads; each takes up to 17 bytes while it is decoded."""

    def __init__(self, pixels: int) -> None:
        self._total = self._free = pixels
        self._changed = threading.Condition()

    @property
    def total(self) -> int:
        """The most pixels decoded concurrently."""
        return self._total

    @property
    def used(self) -> int:
        """Pixels being decoded."""
        return self._total - self._free

    @contextlib.contextmanager
    def reserved(self, pixels: int) -> Iterator[None]:
        """Wait for `pixels` and hold them; an image larger than the whole budget is decoded alone."""
        pixels = min(pixels, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


BUDGET = PixelBudget(2 * MAX_PIXELS)


def reserved(path: Path, image: Image.Image) -> contextlib.AbstractContextManager[None]:
    """Wait for the pixels that decoding takes, and hold them. An AVIF waits for all: its frame may be larger than its header states."""
    return BUDGET.reserved(BUDGET.total if image.format == "AVIF" else decoded_pixels(path, image))


def decoded_pixels(path: Path, image: Image.Image) -> int:
    """Return the number of pixels to decode; a TIFF's tiles are decoded whole, even if the image covers only a part of them."""
    sides = tiff.tile_size(path) if image.format == "TIFF" else (1, 1)
    width, height = (-(-shown // side) * side for shown, side in zip(image.size, sides, strict=True))
    return width * height
