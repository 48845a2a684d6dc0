"""JSON of other labelling tools and data sets that is not read: told by fields that only it has, to be named in the error."""

from collections.abc import Iterator
from typing import Any

from vott_trainer.annotations import json_file

KNOWN: tuple[tuple[str, frozenset[str]], ...] = (
    ("Cityscapes", frozenset({"imgHeight", "imgWidth", "objects"})),
    ("CreateML", frozenset({"image", "annotations.coordinates"})),
    ("VGG Image Annotator", frozenset({"_via_img_metadata"})),
    ("VGG Image Annotator", frozenset({"filename", "regions", "file_attributes"})),
    ("VGG Image Annotator", frozenset({"project", "attribute", "metadata", "view"})),  # version 3
    ("LabelMe", frozenset({"imagePath", "shapes"})),
    ("Datumaro", frozenset({"items", "categories"})),
    ("Supervisely", frozenset({"objects", "size", "tags"})),
    ("Segment Anything (masks without classes)", frozenset({"image.image_id", "annotations"})),
    ("ADE20K", frozenset({"annotation.filename", "annotation.object"})),
    ("Mapillary Vistas", frozenset({"objects", "annotation_date"})),
    ("MPII (poses without boxes)", frozenset({"joint_self"})),
    ("Vertex AI", frozenset({"imageGcsUri"})),
    ("SageMaker Ground Truth", frozenset({"source-ref"})),
    ("Labelbox", frozenset({"data_row", "projects"})),
    ("Labelbox", frozenset({"Labeled Data", "Label"})),
    ("Darwin (V7)", frozenset({"item", "annotations"})),
    ("COCO results (predictions without images)", frozenset({"image_id", "category_id", "bbox"})),
    ("GeoJSON", frozenset({"type", "features"})),
    ("Supervisely (point clouds)", frozenset({"figures", "objects", "key"})),
    ("Custom Vision's predictions", frozenset({"predictions", "project", "iteration"})),
    ("Roboflow's predictions", frozenset({"predictions.confidence", "image"})),
)
"""Names of formats, and fields of an image's record, also those of the record or the first record in one."""
MAX_RECORDS = 10


def name_of(document: Any) -> str | None:
    """Return the name of a JSON document's format, None if it is unknown."""
    for record in _records(document):
        known = _fields(record)
        for name, fields in KNOWN:
            if known >= fields:
                return name
    return None


def _records(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the document itself, and the first of its records."""
    records = json_file.records(document)
    yield from records[:MAX_RECORDS]
    for value in list(records[0].values() if len(records) == 1 else [])[:MAX_RECORDS]:
        yield from json_file.records(value)[:1]


def _fields(record: dict[str, Any]) -> set[str]:
    inner = ((name, part) for name, value in record.items() for part in json_file.records(value)[:1])
    return {*record, *(f"{name}.{field}" for name, part in inner for field in part)}
