"""COCO's JSON for object detection: images, categories, and annotations with `bbox`, and `segmentation` as polygons or a run-length mask.

Crowds (`iscrowd`) are not single objects and are skipped, as in COCO's own evaluation.
"""

from collections.abc import Callable
from typing import Any

from vott_guard.urls import is_url
from vott_trainer.annotations import json_file, outlines, run_lengths
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.limits import MAX_ID
from vott_trainer.annotations.model import Box, Entries, FormatError, Outline, Row
from vott_trainer.annotations.values import box, excerpt, label, number


def is_coco(document: Any) -> bool:
    """Whether a JSON document is in COCO's format."""
    return isinstance(document, dict) and "images" in document and "annotations" in document


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each category, image and annotation.

    Raises:
        FormatError: one of the three lists is missing.
    """
    lists = [json_file.member(document, name, list, "a list") for name in ("categories", "images", "annotations")]
    category_names: dict[int | str, str] = {}
    image_urls: dict[int | str, str] = {}
    readers: dict[str, Callable[[Any], Row | None]] = {
        "category": lambda item: _category(item, category_names),
        "image": lambda item: _image(item, image_urls, urls),
        "annotation": lambda item: _annotation(item, image_urls, category_names),
    }
    for (kind, read), items in zip(readers.items(), lists, strict=True):
        for count, item in enumerate(items, start=1):
            try:
                if row := read(item):
                    yield _place(kind, item, count), row
            except FormatError as error:
                yield _place(kind, item, count), error


def _category(item: Any, category_names: dict[int | str, str]) -> None:
    key, name = _id(item, "id"), label(item.get("name"))
    category_names[key] = name


def _image(item: Any, image_urls: dict[int | str, str], urls: ImageUrls) -> Row:
    key, url = _id(item, "id"), _url(item, urls)
    image_urls[key] = url
    return Row(url, size=json_file.size_of(item))


def _annotation(item: Any, image_urls: dict[int | str, str], category_names: dict[int | str, str]) -> Row | None:
    image, category = _id(item, "image_id"), _id(item, "category_id")
    if item.get("iscrowd") in (1, True):
        return None
    url = _referenced(image_urls, image, "image")
    return Row(url, _box(item, _referenced(category_names, category, "category")))


def _place(kind: str, item: Any, count: int) -> str:
    key = item.get("id") if isinstance(item, dict) else None
    return f"{kind} {excerpt(key)}" if isinstance(key, str | int) else f"{kind} number {count}"


def _id(item: Any, name: str) -> int | str:
    key: int | str = json_file.member(item, name, int | str, "a number or text")  # type: ignore[arg-type]
    if isinstance(key, int) and abs(key) > MAX_ID:  # larger numbers can be chosen to collide in a dict
        raise FormatError(f"expected {name} to be at most {MAX_ID}, found {excerpt(key)}")
    return key


def _referenced(items: dict[int | str, str], key: int | str, kind: str) -> str:
    if key not in items:
        raise FormatError(f"expected {kind}_id to be the id of a usable {kind}, found {excerpt(key)}")
    return items[key]


def _url(image: Any, urls: ImageUrls) -> str:
    """Prefer `coco_url`, unless the message has `imagesUrl`."""
    full = image.get("coco_url")
    if isinstance(full, str) and is_url(full) and not urls.by_name:
        return urls.resolve(full)
    return urls.resolve(json_file.member(image, "file_name", str, "the path or URL of the image"))


def _box(item: dict[str, Any], name: str) -> Box:
    bounds, outline = item.get("bbox"), _outline(item.get("segmentation"))
    if isinstance(bounds, list) and len(bounds) == 4:
        x, y, width, height = (
            number(side, value) for side, value in zip(("x", "y", "width", "height"), bounds, strict=True)
        )
        return box(x, y, width, height, name, outline)
    if not outline:
        raise FormatError(f"expected bbox to be [x, y, width, height], found {excerpt(bounds)}")
    return box(*outlines.bounding_box(outline), name, outline)


def _outline(segmentation: Any) -> Outline | None:
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return run_lengths.outline(segmentation)
    if not isinstance(segmentation, list):
        return ()
    rings = [ring for ring in segmentation if ring != []]
    return outlines.of_rings(rings) if rings else None
