"""COCO's JSON for object detection: images, annotations with `bbox` (or `segmentation` polygons) and categories.

Crowds (`iscrowd`) are no single object and are passed over, as COCO's own evaluation does.
"""

from collections.abc import Callable
from typing import Any

from vott_trainer.annotations import json_file
from vott_trainer.annotations.links import Links
from vott_trainer.annotations.model import Box, Entries, Fault, Row
from vott_trainer.annotations.values import box, excerpt, label, number
from vott_trainer.http.urls import is_http

LARGEST_ID = (1 << 53) - 1  # what every JSON reader knows exactly (RFC 8259)


def is_one(document: Any) -> bool:
    """Return whether a JSON document is in COCO's format."""
    return isinstance(document, dict) and "images" in document and "annotations" in document


def entries(document: Any, links: Links) -> Entries:
    """Yield what each category, image and annotation says.

    Raises:
        Fault: one of the three lists is missing.
    """
    lists = [json_file.part(document, name, list, "a list") for name in ("categories", "images", "annotations")]
    names: dict[int | str, str] = {}
    urls: dict[int | str, str] = {}
    readers: dict[str, Callable[[Any], Row | None]] = {
        "category": lambda item: _category(item, names),
        "image": lambda item: _image(item, urls, links),
        "annotation": lambda item: _annotation(item, urls, names),
    }
    for (what, read), items in zip(readers.items(), lists, strict=True):
        for count, item in enumerate(items, start=1):
            try:
                if row := read(item):
                    yield _place(what, item, count), row
            except Fault as fault:
                yield _place(what, item, count), fault


def _category(item: Any, names: dict[int | str, str]) -> None:
    key, name = _id(item, "id"), label(item.get("name"))
    names[key] = name


def _image(item: Any, urls: dict[int | str, str], links: Links) -> Row:
    key, url = _id(item, "id"), _url(item, links)
    urls[key] = url
    return Row(url, size=json_file.size_of(item))


def _annotation(item: Any, urls: dict[int | str, str], names: dict[int | str, str]) -> Row | None:
    image, category = _id(item, "image_id"), _id(item, "category_id")
    if item.get("iscrowd") in (1, True):
        return None
    return Row(_known(urls, image, "image"), _box(item, _known(names, category, "category")))


def _place(what: str, item: Any, count: int) -> str:
    key = item.get("id") if isinstance(item, dict) else None
    return f"{what} {excerpt(key)}" if isinstance(key, str | int) else f"{what} number {count}"


def _id(item: Any, name: str) -> int | str:
    found: int | str = json_file.part(item, name, int | str, "a number or text")  # type: ignore[arg-type]
    if isinstance(found, int) and abs(found) > LARGEST_ID:  # beyond, numbers can be chosen that a dict takes for one
        raise Fault(f"expected {name} to be at most {LARGEST_ID}, found {excerpt(found)}")
    return found


def _known(found: dict[int | str, str], key: int | str, what: str) -> str:
    if key not in found:
        raise Fault(f"expected {what}_id to be the id of a usable {what}, found {excerpt(key)}")
    return found[key]


def _url(image: Any, links: Links) -> str:
    """Prefer `coco_url`, unless the message says where the images lie."""
    full = image.get("coco_url")
    if isinstance(full, str) and is_http(full) and not links.by_name:
        return links.resolve(full)
    return links.resolve(json_file.part(image, "file_name", str, "the path or URL of the image"))


def _box(item: dict[str, Any], name: str) -> Box:
    bounds = item.get("bbox")
    if isinstance(bounds, list) and len(bounds) == 4:
        x, y, width, height = (
            number(what, value) for what, value in zip(("x", "y", "width", "height"), bounds, strict=True)
        )
        return box(x, y, width, height, name)
    return box(*json_file.box_around(_corners(item)), name)


def _corners(item: dict[str, Any]) -> list[tuple[float, float]]:
    flat = [value for polygon in _polygons(item.get("segmentation")) for value in polygon]
    if len(flat) < 4:
        raise Fault(f"expected bbox to be [x, y, width, height], found {excerpt(item.get('bbox'))}")
    pairs = zip(flat[::2], flat[1::2], strict=False)
    return [(number("x", x), number("y", y)) for x, y in pairs]


def _polygons(value: Any) -> list[list[Any]]:
    flat = isinstance(value, list) and all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in value)
    return value if flat else []  # a run-length mask
