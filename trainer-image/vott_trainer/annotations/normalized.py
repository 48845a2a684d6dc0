"""Normalized coordinates: boxes in fractions of their images' sides, told by all boxes of a file, and checked one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vott_trainer.annotations.model import Box, FormatError

MOST = 0.9  # of the boxes of a file; the others may be wrong
ROUNDING = 0.01  # by which a number may miss 0 and 1
BEYOND = 0.1  # of its image by which a box may be larger, or lie outside


def are_normalized(boxes: Iterable[Sequence[float]]) -> bool:
    """Whether the coordinates of most boxes lie between 0 and 1, and not all on whole numbers, as those of a pixel do."""
    total = inside = 0
    fractional = False
    for values in boxes:
        total += 1
        if all(-ROUNDING <= value <= 1 + ROUNDING for value in values):
            inside += 1
            fractional = fractional or not all(value.is_integer() for value in values)
    return fractional and inside >= MOST * total


def normalized_box(box: Box, whole: float = 1) -> Box:
    """Return a box with coordinates in fractions, marked as such.

    Args:
        whole: the side of an image as the file counts it, for the error: 1, or 100 for percent.

    Raises:
        FormatError: the box is larger than its image, or outside of it: its numbers are others. A part may be outside, as in pixels.
    """
    edges = box.x, box.y, box.x + box.width, box.y + box.height
    if max(box.x, box.y, box.width, box.height) > 1 + BEYOND or min(edges[2:]) < -BEYOND:
        unit = "fractions" if whole == 1 else "percent"
        found = ", ".join(f"{edge * whole:g}" for edge in edges)
        raise FormatError(f"expected {unit} of the image, from 0 to {whole:g}, found the corners {found}")
    return replace(box, normalized=True)
