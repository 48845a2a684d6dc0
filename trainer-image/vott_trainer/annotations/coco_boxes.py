"""The box and outline of one COCO annotation: from `bbox`, upright, rotated or as four corners, and from `segmentation`."""

import math
from typing import Any

from vott_trainer.annotations import coco_traits, outlines, run_lengths
from vott_trainer.annotations.coco_traits import Traits
from vott_trainer.annotations.model import Box, FormatError, Outline, Size
from vott_trainer.annotations.normalized import ROUNDING, normalized_box
from vott_trainer.annotations.values import box, excerpt


def box_of(item: dict[str, Any], name: str, traits: Traits, size: Size | None) -> Box:
    """Return the box of an annotation.

    Args:
        name: of the class.
        size: width and height of the image, if the file has them.

    Raises:
        FormatError: there is no box.
    """
    segmentation = item.get("segmentation")
    outline = _outline(segmentation)
    if outline and traits.normalized:
        outline = _normalized(outline, segmentation, size)
    found = _box(item, name, outline, traits)
    return normalized_box(found) if traits.normalized else found


def _box(item: dict[str, Any], name: str, outline: Outline | None, traits: Traits) -> Box:
    bounds = coco_traits.numbers(item.get("bbox"))
    if traits.corners and len(bounds) == 4:
        x1, y1, x2, y2 = bounds
        bounds = [x1, y1, x2 - x1, y2 - y1]
    rotated = _rotated(item, bounds, traits)
    if rotated or (outline and (len(bounds) != 4 or min(bounds[2:]) <= 0)):
        outline = outline or rotated
        return box(*outlines.bounding_box(outline or ()), name, outline)
    if len(bounds) != 4:
        raise FormatError(f"expected bbox to be [x, y, width, height], found {_described(item.get('bbox'))}")
    x, y, width, height = bounds
    return box(x, y, width, height, name, outline)


def _described(bounds: Any) -> str:
    if bounds is None:
        return "nothing"
    if not isinstance(bounds, list):
        return excerpt(bounds)
    return excerpt(
        ", ".join(str(value) if isinstance(value, int | float | str) else type(value).__name__ for value in bounds[:9])
    )


def _rotated(item: dict[str, Any], bounds: list[float], traits: Traits) -> Outline:
    """Return the corners of a rotated box; empty if the box is upright."""
    if len(bounds) == 8:
        return outlines.of_rings([bounds])
    if len(bounds) not in (4, 5):
        return ()
    x, y, width, height = bounds[:4]
    degrees = coco_traits.rotation(item)
    if len(bounds) == 5:
        degrees = bounds[4] if traits.degrees else math.degrees(bounds[4])
    if len(bounds) == 4 and not degrees:
        return ()
    is_centre = len(bounds) == 5 and traits.centred
    centre = (x, y) if is_centre else (x + width / 2, y + height / 2)
    return outlines.rotated_rectangle(*centre, width, height, degrees)


def _outline(segmentation: Any) -> Outline | None:
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return run_lengths.outline(segmentation)
    if not isinstance(segmentation, list):
        return ()
    if _is_ring(segmentation):
        segmentation = [segmentation]
    rings = [_flat(ring) for ring in segmentation if ring != []]
    return outlines.of_rings(rings) if rings else None


def _is_ring(values: list[Any]) -> bool:
    """Whether a list holds the coordinates themselves, or points, instead of lists of them."""
    return not isinstance(values[0], list) or (len(values) > 1 and _is_points(values))


def _is_points(values: list[Any]) -> bool:
    return all(isinstance(point, list) and len(point) == 2 and not isinstance(point[0], list) for point in values)


def _flat(ring: Any) -> Any:
    return [value for point in ring for value in point] if isinstance(ring, list) and _is_points(ring) else ring


def _normalized(outline: Outline, segmentation: Any, size: Size | None) -> Outline:
    """Return an outline in fractions like its box: a mask is in pixels of its own size, polygons may be in those of the image."""
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        return outlines.scaled(outline, 1 / width, 1 / height)
    _, _, right, bottom = outlines.bounding_box(outline)
    if max(right, bottom) <= 1 + ROUNDING:
        return outline
    return outlines.scaled(outline, 1 / size[0], 1 / size[1]) if size else ()
