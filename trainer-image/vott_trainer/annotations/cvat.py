"""CVAT for images 1.1: boxes, rotated boxes, polygons, ellipses and masks of all images of a task or project, and tags of images.

A mask is a list of run lengths like COCO's, but row by row within its box.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vott_trainer.annotations import outlines, run_lengths, voc, xml_file
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.limits import MAX_POINTS
from vott_trainer.annotations.model import Box, Entries, FormatError, LeftOutError, Outline, Row
from vott_trainer.annotations.values import box, box_of_corners, label, number, size
from vott_trainer.annotations.xml_file import Element

ROOT = "annotations"
WITHOUT_AREA = {"polyline": "a line", "points": "points", "cuboid": "a cuboid", "skeleton": "a skeleton"}

Placed = tuple[str, Row | FormatError]


class _Tag(NamedTuple):
    place: str
    row: Row


def entries(path: Path, urls: ImageUrls) -> Entries:
    """Yield the row or error of each image and each shape; tags only if there is no shape in the whole file.

    Raises:
        FormatError: the file is not XML, or CVAT's for videos.
        LimitExceededError: the file is too large.
    """
    stream = xml_file.elements(path)
    if (root := next(stream)).name != ROOT:
        raise FormatError(f"expected CVAT with the root element {ROOT}, found {root.name}")
    shapes, tags = 0, list[_Tag]()
    for element in stream:
        if element.name == "track":
            raise FormatError("is CVAT for video: export the task in the format CVAT for images 1.1, with its images")
        if element.name == voc.ROOT:
            raise FormatError(
                "holds several files of Pascal VOC in one: send an archive (.zip) with a file for each image"
            )
        if element.name == "image":
            for placed in _image(element, urls):
                if isinstance(placed, _Tag):
                    tags.append(placed)
                else:
                    shapes += not isinstance(placed[1], Row) or placed[1].box is not None
                    yield placed
    for place, row in tags:
        yield place, LeftOutError("a tag of an image is used only if there are no shapes") if shapes else row


def _image(image: Element, urls: ImageUrls) -> Iterator[Placed | _Tag]:
    try:
        link = urls.resolve_in(image.attributes.get("subset", ""), image.attributes.get("name", ""))
    except FormatError as error:
        yield f"line {image.line}", error
        return
    yield f"line {image.line}", Row(link, size=size(image.attributes.get("width"), image.attributes.get("height")))
    for shape in image.children:
        place = f"line {shape.line}"
        try:
            if shape.name == "tag":
                yield _Tag(place, Row(link, label=label(shape.attributes.get("label"))))
            elif found := _box(shape):
                yield place, Row(link, found)
        except FormatError as error:
            yield place, error


def _box(shape: Element) -> Box | None:
    """Return the box of a shape, None for another element."""
    if shape.name in WITHOUT_AREA:
        raise LeftOutError(f"is {WITHOUT_AREA[shape.name]}, expected a box, polygon, ellipse or mask: left out")
    if shape.name not in ("box", "polygon", "ellipse", "mask"):
        return None
    name = label(shape.attributes.get("label"))
    if shape.name == "box":
        return _rectangle(shape, name)
    if shape.name == "mask":
        left, top, width, height = _numbers(shape, "left", "top", "width", "height")
        return box(left, top, width, height, name, _traced(shape, left, top, width, height))
    outline = _ellipse(shape) if shape.name == "ellipse" else _polygon(shape)
    if not outline:
        raise FormatError("expected points to be x,y;x,y;… in pixels")
    return box(*outlines.bounding_box(outline), name, outline)


def _numbers(shape: Element, *names: str) -> list[float]:
    return [number(name, shape.attributes.get(name, "")) for name in names]


def _rectangle(shape: Element, name: str) -> Box:
    x1, y1, x2, y2 = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    upright = box_of_corners(x1, y1, x2, y2, name)
    if not (degrees := number("rotation", shape.attributes.get("rotation", "0"))):
        return upright
    outline = outlines.rotated_rectangle((x1 + x2) / 2, (y1 + y2) / 2, upright.width, upright.height, degrees)
    return box(*outlines.bounding_box(outline), name, outline)


def _polygon(shape: Element) -> Outline:
    return outlines.of_rings([shape.attributes.get("points", "").replace(";", ",").split(",")])


def _ellipse(shape: Element) -> Outline:
    x, y, across, down = _numbers(shape, "cx", "cy", "rx", "ry")
    return outlines.ellipse(x, y, across, down, number("rotation", shape.attributes.get("rotation", "0")))


def _traced(shape: Element, left: float, top: float, width: float, height: float) -> Outline:
    """Trace a mask: as COCO's, which goes column by column, after its rows and columns are exchanged."""
    texts = shape.attributes.get("rle", "").split(",")
    if len(texts) > MAX_POINTS or not all(text.strip().isdecimal() and len(text) < 12 for text in texts):
        return ()
    traced = run_lengths.outline({"size": [int(width), int(height)], "counts": [int(text) for text in texts]})
    return outlines.moved(outlines.transposed(traced), left, top)
