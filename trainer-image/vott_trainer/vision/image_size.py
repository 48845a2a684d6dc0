"""The image size at which even small objects are large enough for a detector."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from vott_trainer.annotations import Box

SMALL = 5  # percentile of the objects
OBJECT_SIDE = 28  # pixels that a small object should have
MULTIPLE = 32


def image_size_for(images: Iterable[tuple[tuple[int, int], Sequence[Box]]], smallest: int, largest: int) -> int:
    """Return the length of the longer side, in pixels, at which the SMALL percentile of the objects has OBJECT_SIDE pixels.

    Args:
        images: width and height, and the boxes.
    """
    sides = [
        math.sqrt(box.width * box.height) / max(size)
        for size, boxes in images
        for box in boxes
        if box.width * box.height > 0
    ]
    if not sides:
        return smallest
    wanted = OBJECT_SIDE / float(np.percentile(sides, SMALL))
    return int(min(largest, max(smallest, math.ceil(wanted / MULTIPLE) * MULTIPLE)))
