"""Azure Machine Learning's JSON lines: an image on each, with its class or with its objects in fractions of its sides."""

import re
from dataclasses import replace
from typing import Any

from vott_trainer.annotations import crowds, json_file, outlines
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Box, Entries, FormatError, ImageLink, Note, Row, Size
from vott_trainer.annotations.normalized import normalized_box
from vott_trainer.annotations.values import box, box_of_corners, excerpt, label_of_json, number, size

CORNERS = ("topX", "topY", "bottomX", "bottomY")
DATASTORE = re.compile(r"AmlDatastore://(?:[^/]+/)?(.+)|azureml://(?:.*/)?datastores/[^/]+/paths/(.+)", re.IGNORECASE)


def is_azure_ml(document: Any) -> bool:
    """Whether a JSON document, or one of JSON lines, is Azure Machine Learning's."""
    return any("image_url" in record and "label" in record for record in json_file.records(document))


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each image and each object; notes first."""
    records = json_file.records(document)
    objects = [item for record in records for item in _objects(record)]
    marked = sum(crowds.is_crowd(item.get("isCrowd")) for item in objects)
    are_objects = crowds.are_objects(marked, len(objects))
    if marked and are_objects:
        yield "", Note(f"isCrowd is 1 for {marked:,} of {len(objects):,} objects: they are read as single objects")
    for count, record in enumerate(records, start=1):
        place = f"image number {count}"
        try:
            url = json_file.member(record, "image_url", str, "the URL of the image")
            place = f"image {excerpt(url)}"
            link, names = link_to(url, urls), _classes(record.get("label"))
        except FormatError as error:
            yield place, error
            continue
        yield place, Row(link, size=_size(record.get("image_details")))
        yield from ((place, Row(link, label=name)) for name in names)
        for number_of, item in enumerate(_objects(record), start=1):
            yield f"object {number_of} of {place}", _row(link, item, are_objects=are_objects)


def is_in_datastore(url: str) -> bool:
    """Whether a URL names a datastore, whose address only Azure Machine Learning knows."""
    return bool(DATASTORE.fullmatch(url.strip()))


def link_to(url: str, urls: ImageUrls) -> ImageLink:
    """Return the link to an image that Azure Machine Learning may name by its datastore.

    Raises:
        FormatError: it does, and the message has no `imagesUrl`; or as `ImageUrls.resolve`.
    """
    if not (found := DATASTORE.fullmatch(url.strip())):
        return urls.resolve(url)
    if not urls.by_name:
        raise FormatError(
            f"{excerpt(url)} is a path in a datastore of Azure Machine Learning: set the parameter imagesUrl to the URL of its container"
        )
    path = found[1] or found[2]
    return ImageLink(tuple(urls.below(path)), path)


def _objects(record: dict[str, Any]) -> list[dict[str, Any]]:
    found = record.get("label")
    return [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]


def _classes(found: Any) -> list[str]:
    """Return the classes of the whole image; none if it has objects."""
    listed = found if isinstance(found, list) else [found]
    return [label_of_json(item) for item in listed if not isinstance(item, dict)]


def _row(link: ImageLink, item: dict[str, Any], *, are_objects: bool) -> Row | FormatError:
    if crowds.is_crowd(item.get("isCrowd")) and not are_objects:
        return crowds.left_out("isCrowd")
    try:
        return Row(link, _box(item))
    except FormatError as error:
        return error


def _box(item: dict[str, Any]) -> Box:
    name = label_of_json(item.get("label"))
    polygons = item.get("polygon")
    outline = outlines.of_rings(polygons) if isinstance(polygons, list) and polygons else None
    if outline and CORNERS[0] not in item:
        return normalized_box(box(*outlines.bounding_box(outline), name, outline))
    x1, y1, x2, y2 = (number(corner, item.get(corner)) for corner in CORNERS)
    return normalized_box(replace(box_of_corners(x1, y1, x2, y2, name), outline=outline))


def _size(details: Any) -> Size | None:
    """Return width and height; written as numbers or as `640px`."""
    if not isinstance(details, dict):
        return None
    width, height = (
        side.removesuffix("px") if isinstance(side := details.get(name), str) else side for name in ("width", "height")
    )
    return size(width, height)
