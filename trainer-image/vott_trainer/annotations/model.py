"""What an annotation file says, and what a dialect finds in it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from vott_trainer.annotations.findings import Finding

MOST_ENTRIES = 5_000_000  # lines of CSV, blank ones too; assets, regions, images and annotations of JSON
MOST_BOXES = 10_000  # on an image
MOST_CLASSES = 10_000

Format = Literal["auto", "vott-web", "corners", "classes", "vott-csv", "vott-json", "coco"]


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled object, in pixels of the image as a browser shows it (EXIF rotation applied), from the upper left."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image's URL and what is to be seen on it: boxes, or the class of the whole image; neither means nothing to see.

    `size` is width and height in pixels where the file says them.
    """

    url: str
    boxes: list[Box] = field(default_factory=list)
    label: str | None = None
    size: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    """All that the file says: images in the order of their first entry, labels sorted, and what had to be left out."""

    images: list[AnnotatedImage]
    labels: list[str]
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """What one entry says of an image; without box and label, that there is such an image."""

    url: str
    box: Box | None = None
    label: str | None = None
    size: tuple[float, float] | None = None


class Fault(ValueError):  # noqa: N818 - yielded more often than raised
    """What is wrong, in words that follow the place.

    A dialect yields the fault of one entry, and raises the one that makes the whole file unreadable.
    """


class TooMuch(Fault):
    """The file is sound and larger than what a training takes."""


Entries = Iterable[tuple[str, Row | Fault]]
"""What stands where: `line 7`, `region 'r1' of asset 'a.jpg'`, `annotation 12`."""
