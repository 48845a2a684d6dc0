"""Custom Vision's images as its API and SDKs return them: regions in fractions of the image, or tags of the whole image.

Names are written as in the API (`tagName`) or as in Python (`tag_name`). Python's scripts name the image in several ways.
"""

from typing import Any

from vott_trainer.annotations import json_file
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Box, Entries, FormatError, ImageLink, LeftOutError, Note, Row
from vott_trainer.annotations.normalized import normalized_box
from vott_trainer.annotations.values import box, excerpt, label_of_json, number

URLS = ("originalimageuri", "imageuri", "imageurl", "url", "uri", "resizedimageuri")
FILES = ("filename", "name", "path", "file", "image")
SIDES = ("left", "top", "width", "height")

Record = dict[str, Any]


def is_custom_vision(document: Any) -> bool:
    """Whether a JSON document, or one of JSON lines, has Custom Vision's images."""
    return any("left" in part or "tagname" in part for record in _records(document) for part in _parts(record))


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each image, and of each region or, if there are none in the whole file, each tag; a note last."""
    records = _records(document)
    kind = "regions" if any(map(_regions, records)) else "tags"
    untagged = 0
    for count, record in enumerate(records, start=1):
        if "tags" in record and not _parts(record):
            untagged += 1
            continue
        place = f"image {excerpt(record.get('id') or count)}"
        if kind == "regions" and not _regions(record) and _parts(record):
            yield place, LeftOutError("has a tag, but no region, in a file with regions: left out")
            continue
        try:
            link = _link(record, urls)
        except FormatError as error:
            yield place, error
            continue
        yield place, Row(link, size=json_file.size_of(record))
        parts = _regions(record) if kind == "regions" else _parts(record)
        for number_of, part in enumerate(parts, start=1):
            yield f"{kind.removesuffix('s')} {number_of} of {place}", _row(link, part, kind)
    if untagged:
        yield "", Note(f"images with neither a region nor a tag are left out: {untagged:,}")


def _records(document: Any) -> list[Record]:
    """Return the images, with plain names of their fields; a script may keep them under `images` or `value`."""
    if isinstance(document, dict):
        document = next((document[name] for name in ("images", "value") if name in document), document)
    return list(map(_plain, json_file.records(document)))


def _plain(record: Record) -> Record:
    return {name.replace("_", "").lower(): value for name, value in record.items()}


def _listed(record: Record, name: str) -> list[Record]:
    value = record.get(name)
    return list(map(_plain, json_file.records(value))) if isinstance(value, list) else []


def _regions(record: Record) -> list[Record]:
    return _listed(record, "regions")


def _parts(record: Record) -> list[Record]:
    """Return the regions, else the tags of an image."""
    return _regions(record) or _listed(record, "tags")


def _row(link: ImageLink, part: Record, kind: str) -> Row | FormatError:
    try:
        name = label_of_json(part.get("tagname") or part.get("tag") or part.get("label") or part.get("name"))
        return Row(link, _box(part, name)) if kind == "regions" else Row(link, label=name)
    except FormatError as error:
        return error


def _box(region: Record, name: str) -> Box:
    bounds = region.get("boundingbox")
    sides = bounds if isinstance(bounds, dict) else region  # those of predictions are in an object of their own
    left, top, width, height = (number(side, sides.get(side)) for side in SIDES)
    return normalized_box(box(left, top, width, height, name))


def _link(record: Record, urls: ImageUrls) -> ImageLink:
    """Return the link to an image: its name first with `imagesUrl`, its URL otherwise."""
    names = [*FILES, *URLS] if urls.by_name else [*URLS, *FILES]
    found = [value for name in names if isinstance(value := record.get(name), str) and value]
    if not found:
        raise FormatError("expected originalImageUri to be the URL of the image, found nothing")
    links, errors = list[ImageLink](), list[FormatError]()
    for path in found:
        try:
            links.append(urls.resolve(path))
        except FormatError as error:
            errors.append(error)
    if not links:
        raise errors[0]
    return ImageLink(tuple(dict.fromkeys(url for link in links for url in link.urls)), links[0].path)
