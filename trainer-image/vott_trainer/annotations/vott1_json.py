"""VoTT 1's JSON: a dict of frames, each with its regions.

A region has the size at which its image was shown while it was drawn, which is not always the image's own, nor that of other regions.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from vott_trainer.annotations import json_file
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Box, Entries, FormatError, ImageLink, LeftOutError, Row, Size
from vott_trainer.annotations.values import box_of_corners, excerpt, label, number

CORNERS = ("x1", "y1", "x2", "y2")


def is_vott1(document: Any) -> bool:
    """Whether a JSON document is VoTT 1's."""
    return isinstance(document, dict) and isinstance(document.get("frames"), dict) and "inputTags" in document


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each frame and each region. A frame without regions is an image without objects if it was visited.

    Raises:
        FormatError: there are no frames, or they have numbers instead of names.
    """
    frames = json_file.member(document, "frames", dict, "an object")
    if frames and all(name.isdecimal() for name in frames):
        raise FormatError(
            "is VoTT 1's JSON with numbers instead of the images' names, as it has them for videos and before version 1.7.1: "
            "open the images in VoTT 2, annotate them there and export again"
        )
    visited = _names(document.get("visitedFrames"))
    for name, regions in frames.items():
        if not regions and name not in visited:
            continue
        place = f"frame {excerpt(name)}"
        try:
            listed, link = json_file.member(frames, name, list, "a list of regions"), urls.resolve(name)
        except FormatError as error:
            yield place, error
        else:
            yield from _frame(link, listed, place)


def _names(visited: Any) -> set[str]:
    """Return the names of the visited frames, which VoTT 1 writes with or without their folder."""
    found = visited if isinstance(visited, list) else []
    return {name.replace("\\", "/").rpartition("/")[2] for name in found if isinstance(name, str)}


def _frame(link: ImageLink, regions: Iterable[Any], frame: str) -> Iterator[tuple[str, Row | FormatError]]:
    size: Size | None = next(filter(None, map(json_file.size_of, regions)), None)
    yield frame, Row(link, size=size)
    for count, region in enumerate(regions, start=1):
        place = f"region {count} of {frame}"
        try:
            boxes = _boxes(region, size)
        except FormatError as error:
            yield place, error
        else:
            yield from ((place, Row(link, box)) for box in boxes)


def _boxes(region: Any, size: Size | None) -> list[Box]:
    """Return a box for each tag, scaled from the size at which the region was drawn to `size`."""
    tags = json_file.member(region, "tags", list, "a list of tags")
    if not tags:
        raise LeftOutError("has no tag: left out")
    shown = json_file.size_of(region)
    x, y = (size[0] / shown[0], size[1] / shown[1]) if size and shown else (1.0, 1.0)
    factors = zip(CORNERS, (x, y, x, y), strict=True)
    x1, y1, x2, y2 = (number(corner, number(corner, region.get(corner)) * factor) for corner, factor in factors)
    return [box_of_corners(x1, y1, x2, y2, tag) for tag in dict.fromkeys(map(label, tags))]
