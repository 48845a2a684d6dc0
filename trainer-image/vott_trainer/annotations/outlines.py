"""Outlines of objects: parsed leniently, since a broken one leaves the object its box."""

from collections.abc import Sequence
from typing import Any

from vott_trainer.annotations.limits import MAX_POINTS
from vott_trainer.annotations.model import FormatError, Outline, Ring
from vott_trainer.annotations.values import number


def of_rings(rings: Sequence[Any]) -> Outline:
    """Make an outline from lists of x1, y1, x2, y2, …; each is a polygon without holes.

    Returns:
        Empty if one of them is no such list with at least two points, or if all have more than MAX_POINTS points. `data.outline_checks` reports it.
    """
    try:
        outline = tuple((_ring(ring),) for ring in rings)
    except FormatError:
        return ()
    return outline if sum(len(ring) for (ring,) in outline) <= 2 * MAX_POINTS else ()


def _ring(values: Any) -> Ring:
    if not isinstance(values, list) or len(values) % 2 or len(values) < 4 or len(values) > 2 * MAX_POINTS:
        raise FormatError("expected x1, y1, x2, y2, …")
    return tuple(number("coordinate", value) for value in values)


def bounding_box(outline: Outline) -> tuple[float, float, float, float]:
    """Return x, y, width and height of the box around an outline that is not empty."""
    rings = [ring for polygon in outline for ring in polygon]
    left, right = min(min(ring[::2]) for ring in rings), max(max(ring[::2]) for ring in rings)
    top, bottom = min(min(ring[1::2]) for ring in rings), max(max(ring[1::2]) for ring in rings)
    return left, top, right - left, bottom - top


def scaled(outline: Outline, x: float, y: float) -> Outline:
    """Multiply all coordinates by the factors `x` and `y`."""
    factors = (x, y)
    return tuple(
        tuple(tuple(value * factors[number % 2] for number, value in enumerate(ring)) for ring in polygon)
        for polygon in outline
    )
