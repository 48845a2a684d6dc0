"""Outlines of objects: parsed leniently, since a broken one leaves the object its box."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from vott_trainer.annotations.limits import MAX_POINTS
from vott_trainer.annotations.model import FormatError, Outline, Ring
from vott_trainer.annotations.values import number

ELLIPSE_POINTS = 32


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


def upright_note(what: str, rotated: int, total: int) -> str:
    """Say in the report that plugins for boxes learn the upright ones around rotated `what`."""
    return f"around rotated {what}, the upright box is used: {rotated:,} of {total:,}"


def rotated_rectangle(x: float, y: float, width: float, height: float, degrees: float) -> Outline:
    """Return the outline of a rectangle around the centre `x`, `y`, rotated clockwise as it is seen (y points down)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(sign_x * width / 2, sign_y * height / 2) for sign_x, sign_y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    ring = [
        value
        for right, down in corners
        for value in (x + right * cosine - down * sine, y + right * sine + down * cosine)
    ]
    return ((tuple(ring),),)


def ellipse(x: float, y: float, across: float, down: float, degrees: float) -> Outline:
    """Return points of an ellipse around the centre `x`, `y` with two radii, rotated clockwise as it is seen (y points down)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ring: list[float] = []
    for angle in (2 * math.pi * point / ELLIPSE_POINTS for point in range(ELLIPSE_POINTS)):
        right, below = across * math.cos(angle), down * math.sin(angle)
        ring += [x + right * cosine - below * sine, y + right * sine + below * cosine]
    return ((tuple(ring),),)


def bounding_box(outline: Outline) -> tuple[float, float, float, float]:
    """Return x, y, width and height of the box around an outline that is not empty."""
    rings = [ring for polygon in outline for ring in polygon]
    left, right = min(min(ring[::2]) for ring in rings), max(max(ring[::2]) for ring in rings)
    top, bottom = min(min(ring[1::2]) for ring in rings), max(max(ring[1::2]) for ring in rings)
    return left, top, right - left, bottom - top


def mapped(outline: Outline, point: Callable[[float, float], tuple[float, float]]) -> Outline:
    """Return the outline with each of its points x, y at `point(x, y)`."""
    return tuple(
        tuple(
            tuple(value for x, y in zip(ring[::2], ring[1::2], strict=True) for value in point(x, y))
            for ring in polygon
        )
        for polygon in outline
    )


def transposed(outline: Outline) -> Outline:
    """Exchange x and y."""
    return mapped(outline, lambda x, y: (y, x))


def moved(outline: Outline, x: float, y: float) -> Outline:
    """Add `x` and `y` to all coordinates."""
    return mapped(outline, lambda across, down: (across + x, down + y))


def scaled(outline: Outline, x: float, y: float) -> Outline:
    """Multiply all coordinates by the factors `x` and `y`."""
    return mapped(outline, lambda across, down: (across * x, down * y))
