"""The annotation formats: which one a file has, and the reader of each; refusal of files of another type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vott_trainer.annotations import coco, csv_file, json_file, vott_json
from vott_trainer.annotations.csv_header import COLUMNS
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Entries, FormatError

OTHER_FILES = {
    b"<": "is a web page or XML, not an annotation file. Open its link in a browser to see its content",
    b"\xff\xfe": "is text in UTF-16, expected UTF-8. Save it as CSV UTF-8",
    b"\xfe\xff": "is text in UTF-16, expected UTF-8. Save it as CSV UTF-8",
    b"PK\x03\x04": "is a ZIP archive or a workbook, not an annotation file. Unpack it, or save the table as CSV UTF-8",
}  # by their first bytes
JSON_READERS: dict[str, Callable[[Any, ImageUrls], Entries]] = {"coco": coco.entries, "vott-json": vott_json.entries}


def why_unreadable(path: Path) -> str | None:
    """Return why a file can't be an annotation file, None if it may be one."""
    head = _head(path)
    return next((reason for start, reason in OTHER_FILES.items() if head.startswith(start)), None)


def entries(path: Path, kind: str, urls: ImageUrls) -> Entries:
    """Read a file of format `kind`; `auto` detects it.

    Raises:
        FormatError: the whole file is unreadable.
    """
    if kind in COLUMNS:
        return csv_file.entries(path, kind, urls)
    if kind == "auto" and not _head(path).startswith((b"{", b"[")):
        return csv_file.entries(path, None, urls)
    document = json_file.load(path)
    return JSON_READERS[_detect(document) if kind == "auto" else kind](document, urls)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()


def _detect(document: Any) -> str:
    if coco.is_coco(document):
        return "coco"
    if vott_json.is_vott(document):
        return "vott-json"
    raise FormatError(
        "is JSON, but neither a VoTT export (with assets) nor COCO (with images, annotations and categories)"
    )
