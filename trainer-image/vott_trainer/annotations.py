"""The annotation file: one CSV dialect a parser, each line checked and every error placed.

A dialect turns one line's fields into a `Row`; the rest (bytes, encoding, blank lines, grouping) is the same for all of them.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vott_trainer.errors import BadAnnotationsError
from vott_trainer.urls import is_http, redact, redact_url

REMEDY = "Correct the line and send the message again."


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
    """An image's URL and what is to be seen on it; no boxes means that there is nothing to see."""

    url: str
    boxes: list[Box] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Annotations:
    """All that the file says: images in the order of their first line, labels sorted."""

    images: list[AnnotatedImage]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class Row:
    """What one line says; `box` is None for an image without objects."""

    url: str
    box: Box | None


class LineError(ValueError):
    """What is wrong with one line, in words that follow `FILE line N: `."""


Dialect = Callable[[list[str]], Row]


def read(path: Path, name: str, dialect: Dialect | None = None) -> Annotations:
    """Read an annotation file.

    Args:
        name: how messages call the file.
        dialect: how a line is understood; the seed's `url,x,y,width,height,class` by default.

    Raises:
        BadAnnotationsError: a line does not parse, or no line holds a box; names file and line.
    """
    with path.open("rb") as lines:
        annotations = _group(parse(lines, name, dialect or seed_dialect))
    if not annotations.labels:
        raise BadAnnotationsError(
            f"{name} holds no annotated object: expected lines of url,x,y,width,height,class. "
            "Annotate some images, export again and send the message again."
        )
    return annotations


def parse(lines: Iterable[bytes], name: str, dialect: Dialect) -> Iterator[Row]:
    """Yield the rows of a file one by one; blank lines, a byte order mark and CRLF are fine.

    Raises:
        BadAnnotationsError: at the first line that does not parse.
    """
    for number, line in enumerate(lines, start=1):
        try:
            fields = _fields(line)
            if fields:
                yield dialect(fields)
        except LineError as error:
            raise BadAnnotationsError(f"{name} line {number}: {redact(str(error))}. {REMEDY}") from error


def seed_dialect(fields: list[str]) -> Row:
    """`url,x,y,width,height,class` without a header; `url,,,,,` is an image without objects; the class may hold commas."""
    if len(fields) < 6:
        raise LineError(
            f"expected 6 fields (url,x,y,width,height,class), found {len(fields)}: {_excerpt(','.join(fields))}"
        )
    url, *numbers = (value.strip() for value in fields[:5])
    if not is_http(url):
        raise LineError(f"expected url to begin with http:// or https://, found {_excerpt(url)}")
    label = ",".join(fields[5:]).strip()
    if not label and not any(numbers):
        return Row(url, None)
    return Row(url, _box(numbers, label))


def _box(numbers: list[str], label: str) -> Box:
    x, y, width, height = (
        _number(name, text) for name, text in zip(("x", "y", "width", "height"), numbers, strict=True)
    )
    for name, value in (("width", width), ("height", height)):
        if value <= 0:
            raise LineError(f"expected {name} to be greater than 0, found {value:g}")
    if not label:
        raise LineError("expected a class name after the fifth comma, found nothing")
    return Box(x, y, width, height, label)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise LineError(f"expected {name} to be a number of pixels, found {_excerpt(text)}")
    return value


def _fields(line: bytes) -> list[str]:
    try:
        text = line.decode("utf-8-sig").strip("\r\n\0 \t")
    except UnicodeDecodeError as error:
        raise LineError(f"expected text in UTF-8, found the byte 0x{line[error.start]:02x}") from error
    if "\r" in text:
        raise LineError("expected lines that end with LF or CRLF, found a bare CR")
    try:
        return next(csv.reader([text]), [])
    except csv.Error as error:
        raise LineError(
            f"expected comma-separated fields, found a line that is too long or broken ({error})"
        ) from error


def _excerpt(text: str) -> str:
    shown = redact_url(text)  # also a line begins with the URL: cut its query, wherever that ends
    return repr(shown if len(shown) <= 60 else f"{shown[:60]}…")


def _group(rows: Iterable[Row]) -> Annotations:
    images: dict[str, AnnotatedImage] = {}
    for row in rows:
        image = images.setdefault(row.url, AnnotatedImage(row.url))
        if row.box:
            image.boxes.append(row.box)
    labels = sorted({box.label for image in images.values() for box in image.boxes})
    return Annotations(list(images.values()), labels)
