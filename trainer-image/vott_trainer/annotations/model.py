"""Formats, boxes, outlines, annotated images, and the rows and errors that a format's reader yields."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from vott_trainer.annotations.findings import Finding

Format = Literal["auto", "vott-web", "corners", "classes", "vott-csv", "vott-json", "coco"]

Ring = tuple[float, ...]
"""x1, y1, x2, y2, … of a closed line."""

Polygon = tuple[Ring, ...]
"""The area inside an odd number of rings, so that inner rings are holes (the even-odd rule)."""

Outline = tuple[Polygon, ...]
"""The union of polygons: the visible parts of one object."""


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled object, in pixels from the upper left of the image as a browser shows it (EXIF rotation applied).

    `outline` is None for an object with a box alone, and empty if the file has an outline that can't be read.
    """

    x: float
    y: float
    width: float
    height: float
    label: str
    outline: Outline | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image's URL with its boxes, or the class of the whole image; without either the image is a negative example.

    `size` is width and height in pixels, where the file has them.
    """

    url: str
    boxes: list[Box] = field(default_factory=list)
    label: str | None = None
    size: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    """A whole annotation file: images in the order of their first entries, sorted labels, and the entries left out."""

    images: list[AnnotatedImage]
    labels: list[str]
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of an image; without box and label it only names the image."""

    url: str
    box: Box | None = None
    label: str | None = None
    size: tuple[float, float] | None = None


class FormatError(ValueError):
    """An invalid entry, or an unreadable file; the text follows the place.

    A reader yields the error of one entry, and raises one that concerns the whole file.
    """


class LimitExceededError(FormatError):
    """A valid file beyond the limits of a training."""


Entries = Iterable[tuple[str, Row | FormatError]]
"""Rows and errors with their places: `line 7`, `region 'r1' of asset 'a.jpg'`, `annotation 12`."""
