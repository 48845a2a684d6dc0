"""Pascal VOC's XML: one file for each image, as LabelImg, CVAT and Roboflow write it; and LabelMe's, which has polygons instead of boxes.

Coordinates are taken as they are. The challenge's own files count pixels from 1, today's tools from 0; the files don't tell.
"""

import math
from dataclasses import replace
from pathlib import Path

from vott_trainer.annotations import limits, outlines, xml_file
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import (
    Box,
    Entries,
    FormatError,
    LeftOutError,
    LimitExceededError,
    Outline,
    Row,
    Size,
)
from vott_trainer.annotations.values import box, box_of_corners, label, number, size
from vott_trainer.annotations.xml_file import Element

ROOT = "annotation"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROTATED = ("cx", "cy", "w", "h", "angle")  # of roLabelImg; the angle in radians, clockwise


def entries(path: Path, urls: ImageUrls) -> Entries:
    """Yield the row or error of the image and of each object.

    Raises:
        FormatError: the file is not XML, or names no image.
        LimitExceededError: the file is too large.
    """
    if path.stat().st_size > limits.MAX_VOC_BYTES:
        raise LimitExceededError(
            f"is larger than {limits.MAX_VOC_BYTES >> 20} MiB, the limit for the Pascal VOC file of an image"
        )
    root, *children = xml_file.elements(path)
    image = replace(root, children=children)
    if root.name != ROOT:
        raise FormatError(f"expected Pascal VOC with the root element {ROOT}, found {root.name}")
    link = urls.resolve_beside(_name(image))
    yield f"line {root.line}", Row(link, size=_size(image))
    for item in image.all("object"):
        if item.text_of("deleted") == "1":  # LabelMe keeps them
            continue
        try:
            yield f"line {item.line}", Row(link, _box(item, label(item.text_of("name"))))
        except FormatError as error:
            yield f"line {item.line}", error


def _name(image: Element) -> str:
    """Return the image's name; old versions of LabelImg write it without its ending, which `path` has."""
    name, path = image.text_of("filename"), image.text_of("path")
    last = path.replace("\\", "/").rpartition("/")[2]
    return last if name and last.rpartition(".")[0] == name else name or path


def _size(image: Element) -> Size | None:
    """Return width and height; None where a tool has written none, or zeros."""
    names = {"size": ("width", "height"), "imagesize": ("ncols", "nrows")}  # the latter of LabelMe
    for parent, sides in names.items():
        if shown := image.child(parent):
            return size(*map(shown.text_of, sides))
    return None


def _box(item: Element, name: str) -> Box:
    if rotated := item.child("robndbox"):
        x, y, width, height, angle = (number(part, rotated.text_of(part)) for part in ROTATED)
        outline = outlines.rotated_rectangle(x, y, width, height, math.degrees(angle))
        return box(*outlines.bounding_box(outline), name, outline)
    drawn = _outline(item)
    if len(item.all("bndbox")) > 1:
        raise FormatError("expected one bndbox in each object, found several")
    if bounds := item.child("bndbox"):
        x1, y1, x2, y2 = (number(corner, bounds.text_of(corner)) for corner in CORNERS)
        return replace(box_of_corners(x1, y1, x2, y2, name), outline=drawn)
    if not drawn and item.child("segm"):
        raise LeftOutError("its mask is in a file of its own, expected a box or polygon: left out")
    if not drawn:
        raise FormatError("expected bndbox or polygon with the corners of the object, found neither")
    return box(*outlines.bounding_box(drawn), name, drawn)


def _outline(item: Element) -> Outline | None:
    """Return the polygon, as Roboflow writes it (x1, y1, x2, y2, …) or LabelMe (points pt with x and y)."""
    if not (polygon := item.child("polygon")):
        return None
    points = polygon.all("pt")
    texts = [point.text_of(axis) for point in points for axis in ("x", "y")]
    if not points:
        values = {part.name: part.text.strip() for part in polygon.children}
        count = sum(f"x{number}" in values for number in range(1, len(values) + 1))
        texts = [values.get(f"{axis}{number}", "") for number in range(1, count + 1) for axis in ("x", "y")]
    return outlines.of_rings([texts])
