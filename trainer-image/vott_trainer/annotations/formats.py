"""The annotation formats: which one a file has, by its content, and the reader of each; refusal of files of another type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vott_trainer.annotations import (
    azure_ml,
    coco,
    csv_file,
    custom_vision,
    cvat,
    json_file,
    label_studio,
    other_formats,
    other_json,
    voc,
    vott1_json,
    vott_json,
    xml_file,
    yolo_lines,
)
from vott_trainer.annotations.csv_names import COLUMNS
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Entries, FormatError
from vott_trainer.annotations.values import excerpt

OTHER_FILES = {
    b"<!doctype html": "is a web page, not an annotation file. Open its link in a browser to see its content",
    b"<html": "is a web page, not an annotation file. Open its link in a browser to see its content",
    b"\xd0\xcf\x11\xe0": "is a workbook of Excel, not an annotation file. Save the table as CSV UTF-8",
    b"par1": "is a Parquet file, not an annotation file. Save the table as CSV UTF-8",
    b"{\\rtf": "is a text with formats (RTF), not an annotation file. Save it as plain text in UTF-8",
    b"%pdf": "is a PDF, not an annotation file. Export the annotations from the tool that made them",
    b"\xff\xd8\xff": "is a JPEG image, not an annotation file. Send the link to the annotations",
    b"\x89png": "is a PNG image, not an annotation file. Send the link to the annotations",
}  # by their first bytes, in lower case


class UnknownFormatError(FormatError):
    """A document in JSON or XML is no annotation file in a known format."""


class JsonFormat(NamedTuple):
    """How a document is recognized, and its reader."""

    recognizes: Callable[[Any], bool]
    entries: Callable[[Any, ImageUrls], Entries]


JSON_FORMATS = {
    "coco": JsonFormat(coco.is_coco, coco.entries),
    "vott-json": JsonFormat(vott_json.is_vott, vott_json.entries),
    "vott1-json": JsonFormat(vott1_json.is_vott1, vott1_json.entries),
    "label-studio": JsonFormat(label_studio.is_label_studio, label_studio.entries),
    "azure-ml": JsonFormat(azure_ml.is_azure_ml, azure_ml.entries),
    "custom-vision": JsonFormat(custom_vision.is_custom_vision, custom_vision.entries),
}  # in the order of recognition
XML_FORMATS: dict[str, Callable[[Path, ImageUrls], Entries]] = {"voc": voc.entries, "cvat": cvat.entries}
OF_ARCHIVES = ("yolo", "folders")
XML_ROOTS = {voc.ROOT: "voc", cvat.ROOT: "cvat"}


def why_unreadable(path: Path) -> str | None:
    """Return why a file can't be an annotation file, None if it may be one."""
    with path.open("rb") as file:
        if name := other_formats.of_binary(file.read(32)):
            return f"is in the format of {name}, which is not read: {other_formats.EXPORT}"
    head = _head(path).lower()
    return next((reason for start, reason in OTHER_FILES.items() if head.startswith(start)), None)


def entries(path: Path, kind: str, urls: ImageUrls) -> Entries:
    """Read a file of format `kind`; `auto` detects it.

    Raises:
        FormatError: the whole file is unreadable.
    """
    if kind in OF_ARCHIVES:
        raise FormatError(f"is no archive, in which alone annotations can be in the format {kind}")
    head = _head(path)
    if head.startswith(b"<"):
        if (found := _xml_format(path)) != kind != "auto":
            raise FormatError(f"is in the format {found}, not in {kind}")
        return XML_FORMATS[found](path, urls)
    if kind in XML_FORMATS:
        raise FormatError(f"is not in the format {kind}, which is XML")
    if kind in JSON_FORMATS or (kind == "auto" and head.startswith((b"{", b"["))):
        document = json_file.load(path)
        return JSON_FORMATS[_json_format(document) if kind == "auto" else kind].entries(document, urls)
    first_lines = head.splitlines()
    if kind == "auto" and yolo_lines.is_labels(first_lines):
        raise FormatError(
            "is YOLO's file of one image, which does not name it: send an archive (.zip) with the images, all such files and the names of "
            "the classes (data.yaml, classes.txt or obj.names)"
        )
    if kind == "auto" and (other := other_formats.of_text("", first_lines)):
        raise FormatError(f"is in the format of {other}, which is not read: {other_formats.EXPORT}")
    return csv_file.entries(path, kind if kind in COLUMNS else None, urls)


def recognized(path: Path) -> str | None:
    """Return the format of a file in JSON or XML, None if it is neither.

    Raises:
        UnknownFormatError: it has no known format.
        FormatError: it can't be parsed.
    """
    head = _head(path)
    if head.startswith(b"<"):
        return _xml_format(path)
    return _json_format(json_file.load(path)) if head.startswith((b"{", b"[")) else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()


def _json_format(document: Any) -> str:
    for kind, known in JSON_FORMATS.items():
        if known.recognizes(document):
            return kind
    if name := other_json.name_of(document):
        raise UnknownFormatError(f"is JSON of {name}, which is not read: export COCO instead")
    raise UnknownFormatError(
        "is JSON, but neither a VoTT export (with assets) nor COCO (with images, annotations and categories) nor any format of docs/annotations.md"
    )


def _xml_format(path: Path) -> str:
    root = next(iter(xml_file.elements(path)))
    if name := other_formats.of_xml(root.name):
        raise UnknownFormatError(f"is {name} in XML, which is not read: {other_formats.EXPORT}")
    if root.name not in XML_ROOTS:
        raise UnknownFormatError(
            f"is XML with the root element {excerpt(root.name)}, expected Pascal VOC (annotation) or CVAT for images (annotations)"
        )
    return XML_ROOTS[root.name]
