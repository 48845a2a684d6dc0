"""Formats, boxes, outlines, annotated images, and the rows and errors that a format's reader yields."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vott_trainer.annotations.findings import Finding

Format = Literal[
    "auto",
    "vott-web",
    "corners",
    "classes",
    "vott-csv",
    "vott-json",
    "coco",
    "voc",
    "cvat",
    "vott1-json",
    "label-studio",
    "azure-ml",
    "custom-vision",
    "yolo",
    "folders",
]

ExifOrientation = Literal["applied", "ignored"]
"""Whether boxes were drawn on photos with their EXIF orientation, as browsers show them, or on the pixels as they are stored."""

Ring = tuple[float, ...]
"""x1, y1, x2, y2, … of a closed line."""

Polygon = tuple[Ring, ...]
"""The area inside an odd number of rings, so that inner rings are holes (the even-odd rule)."""

Outline = tuple[Polygon, ...]
"""The union of polygons: the visible parts of one object."""


Size = tuple[float, float]
"""Width and height of an image, in pixels."""


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled object, in pixels from the upper left of the image as a browser shows it (EXIF rotation applied).

    `outline` is None for an object with a box alone, and empty if the file has an outline that can't be read.
    With `normalized`, all coordinates are fractions of the image's width and height; `data.checks` makes pixels of them.
    """

    x: float
    y: float
    width: float
    height: float
    label: str
    outline: Outline | None = None
    normalized: bool = False


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image's URL with its boxes, or the class of the whole image; without either the image is a negative example.

    `size` is width and height in pixels of the image that was annotated, where the file has them.
    `others` are URLs to try after `url`, in this order. `video` identifies the video that it is a frame of, where the file says so.
    """

    url: str
    boxes: list[Box] = field(default_factory=list)
    label: str | None = None
    size: Size | None = None
    others: tuple[str, ...] = ()
    video: str | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    """A whole annotation file: images in the order of their first entries, sorted labels, and findings: entries left out, notes of the reader.

    `files` are the images that came with the annotations, by what stands for their URLs.
    """

    images: list[AnnotatedImage]
    labels: list[str]
    findings: list[Finding] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageLink:
    """Where an entry says that its image is, as `ImageUrls.resolve` returns it.

    `urls` has the likeliest URL first. A `path` elsewhere (on the annotator's computer, or behind a link) is looked up below `imagesUrl` by its
    last part, which several images may share: `image_places` decides.
    """

    urls: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of an image; without box and label it only names the image."""

    image: ImageLink
    box: Box | None = None
    label: str | None = None
    size: Size | None = None
    video: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader has found out about the whole file, or decided for it: one sentence for the report."""

    what: str


class FormatError(ValueError):
    """An invalid entry, or an unreadable file; the text follows the place.

    A reader yields the error of one entry, and raises one that concerns the whole file.
    """


class LeftOutError(FormatError):
    """A valid entry that nothing can be learned from, such as a line or a point.

    It is left out and reported, and does not count as invalid, however many there are.
    """


class LimitExceededError(FormatError):
    """A valid file beyond the limits of a training."""


Entries = Iterable[tuple[str, Row | Note | FormatError]]
"""Rows and errors with their places: `line 7`, `region 'r1' of asset 'a.jpg'`, `annotation 12`; notes, of which the place may be empty."""
