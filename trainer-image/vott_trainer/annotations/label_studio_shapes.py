"""Label Studio's regions: rectangles, ellipses and polygons in percent of the image, and masks of its brush."""

import math
from typing import Any

from vott_trainer.annotations import brush_masks, outlines
from vott_trainer.annotations.model import Box, FormatError, LeftOutError, Outline, Size
from vott_trainer.annotations.normalized import normalized_box
from vott_trainer.annotations.values import box, excerpt, number

SHAPES = ("points", "rle", "radiusX", "x")  # fields that only a region has
RECTANGLE = ("x", "y", "width", "height")
ELLIPSE = ("x", "y", "radiusX", "radiusY")


def is_region(value: dict[str, Any]) -> bool:
    """Whether a value of Label Studio is a part of an image."""
    return any(name in value for name in SHAPES)


def box_of(value: dict[str, Any], name: str, size: Size | None) -> Box:
    """Return the box of a region, in fractions.

    Args:
        name: of the class.
        size: `original_width` and `original_height`, which angles and masks need.

    Raises:
        FormatError: it is no region, or can't be read.
        LeftOutError: it has no area.
    """
    if not is_region(value):
        raise FormatError(
            f"expected a rectangle, polygon, ellipse or mask, found {excerpt(', '.join(map(str, value)))}"
        )
    if "x" in value and "radiusX" not in value and "height" not in value:
        raise LeftOutError("is a point, expected a rectangle, polygon, ellipse or mask: left out")
    outline = _outline(value, size)
    if outline is None:
        x, y, width, height = (number(side, value.get(side)) / 100 for side in RECTANGLE)
        return normalized_box(box(x, y, width, height, name), 100)
    if not outline:
        raise FormatError("expected the points or the mask of a region")
    return normalized_box(box(*outlines.bounding_box(outline), name, outline), 100)


def _outline(value: dict[str, Any], size: Size | None) -> Outline | None:
    """Return the outline of a region, None of an upright rectangle."""
    if "points" in value:
        points = value["points"]
        flat = (
            [part for point in points for part in (point if isinstance(point, list) else [None])]
            if isinstance(points, list)
            else []
        )
        return outlines.scaled(outlines.of_rings([flat]), 1 / 100, 1 / 100)
    degrees = number("rotation", value.get("rotation") or 0) % 360
    if "rle" not in value and "radiusX" not in value and not degrees:
        return None
    if not size:
        raise FormatError("expected original_width and original_height to be the image's size in pixels, found nothing")
    if "rle" in value:
        return outlines.scaled(brush_masks.outline(value["rle"], *size), 1 / size[0], 1 / size[1])
    names = ELLIPSE if "radiusX" in value else RECTANGLE
    x, y, width, height = (number(side, value.get(side)) / 100 * size[axis % 2] for axis, side in enumerate(names))
    if "radiusX" in value:
        pixels = outlines.ellipse(x, y, width, height, degrees)
    else:
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        centre = x + (width * cosine - height * sine) / 2, y + (width * sine + height * cosine) / 2
        pixels = outlines.rotated_rectangle(*centre, width, height, degrees)
    return outlines.scaled(pixels, 1 / size[0], 1 / size[1])
