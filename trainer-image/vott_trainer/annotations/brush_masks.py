"""Masks of Label Studio's brush: the image's RGBA values, row by row, in run-length groups of bits.

The packing is that of https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack: the number of values (32 bits), the bits of a value
less one (5), the bits of a length less one in four widths (4 times 4), then runs. A run is a bit (repeated or not), the width's number (2 bits),
the length less one, and the value, or as many values.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from vott_trainer.annotations import outlines, run_lengths
from vott_trainer.annotations.limits import MAX_COORDINATE, MAX_POINTS
from vott_trainer.annotations.model import FormatError, Outline

CHANNELS = 4
MAX_RUNS = 16 * MAX_POINTS  # a value that is written alone is a run, too: there are some beside each edge of the mask


def outline(packed: Any, width: float, height: float) -> Outline:
    """Trace the pixels of a mask that are not transparent.

    Args:
        packed: the list of bytes.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        As `run_lengths.outline`; empty if the mask can't be read.
    """
    columns, rows = int(width), int(height)
    try:
        counts = _counts(_runs(_Bits(packed), columns * rows * CHANNELS), columns * rows)
    except (FormatError, ValueError, TypeError):
        return ()
    if not (0 < columns <= MAX_COORDINATE and 0 < rows <= MAX_COORDINATE):
        return ()
    # COCO's masks go column by column: this one is the mask of the image with its rows and columns exchanged.
    return outlines.transposed(run_lengths.outline({"size": [columns, rows], "counts": counts}))


class _Bits:
    def __init__(self, packed: Any) -> None:
        self._data, self._at = bytes(packed if isinstance(packed, list) else ()), 0

    def read(self, size: int) -> int:
        end = self._at + size
        if end > 8 * len(self._data):
            raise FormatError("expected more bytes")
        last = -(-end // 8)
        value = int.from_bytes(self._data[self._at // 8 : last], "big") >> (8 * last - end)
        self._at = end
        return value & ((1 << size) - 1)


def _runs(bits: _Bits, expected: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first place, the place after the last, and the value of each run of equal values."""
    if bits.read(32) != expected:
        raise FormatError("expected as many values as the image has")
    bits_of_value = bits.read(5) + 1
    widths = [bits.read(4) + 1 for _ in range(4)]
    place = runs = 0
    while place < expected:
        is_repeated, width = bits.read(1), widths[bits.read(2)]
        length = bits.read(width) + 1
        runs += 1 if is_repeated else length
        if runs > MAX_RUNS or place + length > expected:
            raise FormatError("expected fewer values")
        step = length if is_repeated else 1
        for start in range(place, place + length, step):
            yield start, start + step, bits.read(bits_of_value)
        place += length


def _counts(runs: Iterable[tuple[int, int, int]], pixels: int) -> list[int]:
    """Return the lengths of alternating runs of background and object, whose pixels have a fourth value above 0."""
    edges = [0]
    for start, stop, value in runs:
        first, last = start // CHANNELS, stop // CHANNELS
        if not value or first == last:
            continue
        if len(edges) > 1 and edges[-1] == first:
            edges[-1] = last
        else:
            edges += [first, last]
    return [after - before for before, after in itertools.pairwise([*edges, pixels])]
