"""Lines of YOLO's text files: a box, polygon or rotated box in fractions of the image.

A line is `class x y width height` with the box's centre, or `class x1 y1 x2 y2 x3 y3 …`, with four corners for a rotated box.
"""

from collections.abc import Iterable, Sequence

from vott_trainer.annotations import limits, outlines
from vott_trainer.annotations.model import Box, FormatError
from vott_trainer.annotations.normalized import normalized_box
from vott_trainer.annotations.values import box, excerpt, is_number, number

BOX_FIELDS = 5
POLYGON_FIELDS = 7  # at least
EXPECTED = "expected class x y width height, or class x1 y1 x2 y2 …"


def is_labels(lines: Iterable[bytes]) -> bool:
    """Whether the first line that is not blank is a class's number and at least four other numbers, or a name and four fractions."""
    name, *values = _split(next((line for line in lines if line.strip()), b"")) or [""]
    if len(values) < BOX_FIELDS - 1 or not all(map(is_number, values)):
        return False
    is_box = len(values) == BOX_FIELDS - 1 and all(0 <= float(value) <= 1 for value in values)
    return name.replace(".0", "").isdecimal() or is_box  # a name is refused when the line is read


def fields(line: bytes) -> list[str]:
    """Split a line.

    Raises:
        FormatError: it is too long or too short.
    """
    if len(line) > limits.MAX_LINE_BYTES:
        raise FormatError(f"expected a line of at most {limits.MAX_LINE_BYTES:,} bytes, found a longer one")
    found = _split(line)
    if len(found) < BOX_FIELDS:
        raise FormatError(f"{EXPECTED}, found {excerpt(' '.join(found))}")
    return found


def box_of(numbers: Sequence[str], name: str, *, keypoints: bool = False) -> Box:
    """Make a box, with its outline, of the numbers after the class.

    Args:
        keypoints: whether they follow the box; they are ignored.

    Raises:
        FormatError: there are too few or too many numbers, or they are no fractions.
    """
    values = [number("coordinate", text) for text in (numbers[: BOX_FIELDS - 1] if keypoints else numbers)]
    if len(values) in (BOX_FIELDS - 1, BOX_FIELDS):  # a fifth is the score of a prediction
        x, y, width, height = values[:4]
        return normalized_box(box(x - width / 2, y - height / 2, width, height, name))
    if len(values) < POLYGON_FIELDS - 1 or len(values) % 2:
        raise FormatError(f"{EXPECTED}, found {len(values) + 1} numbers")
    outline = outlines.of_rings([values])
    if not outline:
        raise FormatError(f"expected a polygon of at most {limits.MAX_POINTS:,} points")
    return normalized_box(box(*outlines.bounding_box(outline), name, outline))


def _split(line: bytes) -> list[str]:
    return line.decode("utf-8-sig", "replace").split()
