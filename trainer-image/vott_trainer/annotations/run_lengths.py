"""COCO's run-length masks, as a list of counts or compressed to text, to outlines.

The counts are the lengths of alternating runs of background and object, column by column from the upper left
(https://cocodataset.org/#format-data; the text form is that of COCO's maskApi).
"""

import itertools
from typing import Any

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from vott_trainer.annotations.limits import MAX_COORDINATE, MAX_POINTS
from vott_trainer.annotations.model import FormatError, Outline, Ring

MAX_SIDE = (
    512  # samples along a side of the object; a larger one is sampled more coarsely, so that its size costs no time
)

Ends = NDArray[np.int64]


def outline(mask: dict[str, Any]) -> Outline:
    """Trace `{"size": [height, width], "counts": …}`: the middle between the pixels inside and outside.

    Returns:
        One polygon with all rings; empty if the mask can't be read, has no pixel or more than MAX_POINTS runs.
    """
    try:
        height, ends = _runs(mask)
    except FormatError:
        return ()
    starts, stops = ends[:-1:2], ends[1::2]
    occupied = stops > starts
    if not occupied.any():
        return ()
    left, top, right, bottom = _bounds(starts[occupied], stops[occupied] - 1, height)
    step = -(-max(right - left, bottom - top) // MAX_SIDE)
    columns, rows = (np.arange(low + step // 2, high, step) for low, high in ((left, right), (top, bottom)))
    inside = np.searchsorted(ends, columns * height + rows[:, None], side="right") % 2
    lines = contour_generator(z=np.pad(inside, 1)).lines(0.5)  # coordinate 1 is the centre of the first sample
    rings = tuple(_ring(np.asarray(line)[:-1] * step + (left - step / 2, top - step / 2)) for line in lines)
    return (rings,) if rings else ()


def _runs(mask: dict[str, Any]) -> tuple[int, Ends]:
    """Return the mask's height, and the place after each run in the column-wise order; an even number of runs."""
    size, counts = mask.get("size"), mask.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)):
        raise FormatError("expected size to be [height, width]")
    lengths = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or len(lengths) > MAX_POINTS:
        raise FormatError("expected counts")
    pixels = size[0] * size[1]
    if not (0 < size[0] <= MAX_COORDINATE and 0 < size[1] <= MAX_COORDINATE):
        raise FormatError("expected a size in pixels")
    if not all(type(length) is int and 0 <= length <= pixels for length in lengths) or sum(lengths) != pixels:
        raise FormatError("expected the counts to add up to the pixels")
    return size[0], np.cumsum(lengths + [0] * (len(lengths) % 2), dtype=np.int64)


def _decompressed(text: str) -> list[int]:
    """Decode groups of five bits, least significant first; from the fourth on, a length is the difference to the last but one."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise FormatError("expected counts in COCO's text form")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # continued
            continue
        if bits & 16:  # negative
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    return lengths


def _bounds(first: Ends, last: Ends, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom, the latter exclusive, of runs from `first` to `last` pixel."""
    left, right = int(first.min() // height), int(last.max() // height) + 1
    if (first // height != last // height).any():  # a run continues in the next column
        return left, 0, right, height
    return left, int((first % height).min()), right, int((last % height).max()) + 1


def _ring(points: NDArray[np.float64]) -> Ring:
    """Keep the points where the line turns."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return tuple(itertools.chain.from_iterable(points[turns].tolist()))
