"""What a COCO file's annotations have in common. One annotation alone would not tell it.

Tools disagree about `iscrowd`, and write boxes normalized, by two corners, with an angle, or not at all.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vott_trainer.annotations import crowds, outlines
from vott_trainer.annotations.model import FormatError
from vott_trainer.annotations.normalized import MOST, are_normalized
from vott_trainer.annotations.values import number

EDGE = 0.1  # of a box's side by which a rotated box may reach beyond its image
SAME = 0.01  # relative difference of lengths and areas that are equal but for rounding
NOT_FOR_BOXES = {
    "segments_info": "is COCO for panoptic segmentation, whose objects are in PNG files: export it as COCO for object detection (instances)",
    "keypoints": "is COCO with keypoints alone: export it with the boxes of the objects",
    "caption": "is COCO with captions, which have no boxes: use the file with the instances",
}  # by a field of the annotations


@dataclass(frozen=True, slots=True)
class Traits:
    """How to read the annotations.

    `classes_only` means that they give the class of the whole image, `normalized` that all coordinates are fractions of the image's sides,
    `corners` that a `bbox` of four values is x1, y1, x2, y2. In a `bbox` of five values, `centred` tells whether the first two are the box's
    centre or its corner, `degrees` the angle's unit.
    """

    classes_only: bool
    crowds_are_objects: bool
    normalized: bool
    corners: bool
    centred: bool
    degrees: bool
    notes: list[str]


@dataclass
class _Survey:
    total: int = 0
    shapes: int = 0
    crowds: int = 0
    rotated: int = 0
    corners: int = 0
    sizes: int = 0
    of_cvat: bool = False
    with_angle: list[list[float]] = field(default_factory=list)

    def add(self, item: dict[str, Any]) -> None:
        self.total += 1
        self.crowds += is_crowd(item)
        self.of_cvat = self.of_cvat or "occluded" in _attributes(item)
        bounds = numbers(item.get("bbox"))
        self.shapes += bool(item.get("bbox") or item.get("segmentation"))
        self.rotated += bool(rotation(item)) or (len(bounds) == 5 and bounds[4] != 0)
        if len(bounds) == 5:
            self.with_angle.append(bounds)
        if len(bounds) == 4:
            are_corners = _are_corners(bounds, item)
            self.corners += are_corners is True
            self.sizes += are_corners is False

    def traits(self, *, normalized: bool) -> Traits:
        # CVAT writes every mask as a crowd.
        crowds_are_objects = self.of_cvat or crowds.are_objects(self.crowds, self.total)
        corners = self.corners > 0 and self.corners >= MOST * (self.corners + self.sizes)
        angles = [bounds[4] for bounds in self.with_angle]
        degrees = any(abs(angle) > 2 * math.pi for angle in angles) or all(angle == int(angle) for angle in angles)
        fit_around = sum(_fits_around(bounds, degrees=degrees) for bounds in self.with_angle)
        centred = fit_around >= MOST * len(angles)
        notes = []
        if self.crowds and crowds_are_objects:
            share = f"iscrowd is 1 for {self.crowds:,} of {self.total:,} annotations"
            reason = "as CVAT marks every mask" if self.of_cvat else "too many to be groups of objects"
            notes.append(f"{share}, {reason}: they are read as single objects")
        if normalized:
            notes.append("the boxes are in fractions of their images: they are multiplied by the images' sizes")
        if corners:
            notes.append("bbox is read as two corners, x1, y1, x2, y2: the areas or outlines are those of such boxes")
        if self.rotated:
            corner, unit = "centre" if centred else "upper left corner", "degrees" if degrees else "radians"
            how = f" (bbox is read as {corner}, size and angle in {unit})" if angles else ""
            notes.append(outlines.upright_note(f"boxes{how}", self.rotated, self.total))
        return Traits(not self.shapes, crowds_are_objects, normalized, corners, centred, degrees, notes)


def of(annotations: Iterable[Any]) -> Traits:
    """Return the traits of all annotations.

    Raises:
        FormatError: they have neither boxes nor classes.
    """
    items = [item for item in annotations if isinstance(item, dict)]
    survey, fields = _Survey(), set[str]()
    for item in items:
        survey.add(item)
        fields.update(name for name in NOT_FOR_BOXES if item.get(name))
    for name, reason in NOT_FOR_BOXES.items():
        if name in fields and not survey.shapes:
            raise FormatError(reason)
    return survey.traits(normalized=are_normalized(filter(None, map(_coordinates, items))))


def is_crowd(item: dict[str, Any]) -> bool:
    """Whether an annotation is marked as a crowd."""
    return crowds.is_crowd(item.get("iscrowd"))


def rotation(item: dict[str, Any]) -> float:
    """Return the angle that CVAT gives beside the `bbox` before the rotation; clockwise, in degrees."""
    angles = numbers([_attributes(item).get("rotation", 0)])
    return angles[0] % 360 if angles else 0.0


def numbers(value: Any) -> list[float]:
    """Return a list of up to eight numbers; empty if the value is anything else."""
    if not isinstance(value, list) or len(value) > 8:
        return []
    try:
        return [number("", item) for item in value]
    except FormatError:
        return []


def _attributes(item: dict[str, Any]) -> dict[str, Any]:
    attributes = item.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _coordinates(item: dict[str, Any]) -> list[float]:
    """Return the sides of the box, without its angle; else the first points of the polygon."""
    bounds, segmentation = numbers(item.get("bbox")), item.get("segmentation")
    ring = segmentation[0] if isinstance(segmentation, list) and segmentation else None
    return bounds[:4] or (numbers(ring[:8]) if isinstance(ring, list) else [])


def _are_corners(bounds: list[float], item: dict[str, Any]) -> bool | None:
    """Whether four values are two corners instead of a corner and a size, by the annotation's area or polygon; None if these don't tell."""
    x, y, third, fourth = bounds
    if min(x, y) < 0 or max(x, y) == 0 or third <= x or fourth <= y:
        return False if third < x or fourth < y else None
    area = numbers([item.get("area")])
    if area and area[0] > 0:
        as_size, as_corners = (
            math.isclose(area[0], sides, rel_tol=SAME) for sides in (third * fourth, (third - x) * (fourth - y))
        )
        if as_size != as_corners:
            return as_corners
    if not (polygon := _bounds_of_polygons(item.get("segmentation"))):
        return None
    left, top, width, height = polygon
    found = left + width, top + height
    as_size, as_corners = (
        all(math.isclose(*pair, rel_tol=SAME) for pair in zip(found, edges, strict=True))
        for edges in ((x + third, y + fourth), (third, fourth))
    )
    return as_corners if as_size != as_corners else None


def _bounds_of_polygons(segmentation: Any) -> tuple[float, float, float, float] | None:
    found = outlines.of_rings(segmentation) if isinstance(segmentation, list) and segmentation else ()
    return outlines.bounding_box(found) if found else None


def _fits_around(bounds: list[float], *, degrees: bool) -> bool:
    """Whether a rotated box around the first two values stays right of and below the image's corner."""
    x, y, width, height, angle = bounds
    angle = math.radians(angle) if degrees else angle
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    across, down = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return x >= across * (1 - EDGE) and y >= down * (1 - EDGE)
