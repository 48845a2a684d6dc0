"""From a file of any dialect to annotations: a few faulty entries are left out and listed, too many are an error that lists them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vott_trainer.annotations import coco, csv_file, json_file, vott_json
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.links import Links
from vott_trainer.annotations.model import (
    MOST_BOXES,
    MOST_CLASSES,
    MOST_ENTRIES,
    AnnotatedImage,
    Annotations,
    Entries,
    Fault,
    Format,
    Row,
    TooMuch,
)
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.http.urls import redact

DROPPED_FRACTION = 0.1
MOST_NAMED = 5  # faults in an error's text
OTHER_FILES = {
    b"<": "is a web page or XML, not an annotation file. Open its link in a browser to see what it says",
    b"\xff\xfe": "is text in UTF-16, expected UTF-8. Save it as CSV UTF-8",
    b"\xfe\xff": "is text in UTF-16, expected UTF-8. Save it as CSV UTF-8",
    b"PK\x03\x04": "is a ZIP archive or a workbook, not an annotation file. Unpack it, or save the table as CSV UTF-8",
}  # by their first bytes
JSON_DIALECTS: dict[str, Callable[[Any, Links], Entries]] = {"coco": coco.entries, "vott-json": vott_json.entries}


def read(
    path: Path,
    name: str,
    *,
    annotation_format: Format = "auto",
    annotations_url: str | None = None,
    images_url: str | None = None,
) -> Annotations:
    """Read an annotation file.

    Args:
        name: how messages call the file.
        annotation_format: the dialect (docs/annotations.md); `auto` tells all of them but `corners`.
        annotations_url: where the file came from; relative paths of images begin from its folder, with its query.
        images_url: where relative paths begin from instead, itself a URL or a path from there.

    Raises:
        BadAnnotationsError: the file is of another kind or larger than the limits, more than a tenth of the entries can't be used, or
            none says what is to be seen; names the file and the first faulty places.
    """
    head = _head(path)
    if other := next((words for start, words in OTHER_FILES.items() if head.startswith(start)), None):
        raise BadAnnotationsError(f"{name} {other}, and send the message again.")
    gathered = _Gathered(name)
    try:
        for place, found in _entries(path, annotation_format, Links.of(annotations_url, images_url)):
            gathered.add(place, found)
    except TooMuch as fault:
        raise BadAnnotationsError(f"{name} {fault}. Train on a part of it, and send the message again.") from fault
    except Fault as fault:
        raise BadAnnotationsError(
            f"{name} {redact(str(fault))}. Correct the file, or name its format in the parameter annotationFormat, "
            "and send the message again."
        ) from fault
    return gathered.annotations()


def droppable(total: int) -> int:
    """Return how many of `total` entries may be left out: a tenth; a file with fewer than ten is soon put right."""
    return int(total * DROPPED_FRACTION)


def _entries(path: Path, kind: str, links: Links) -> Entries:
    if kind in csv_file.KINDS:
        return csv_file.entries(path, kind, links)
    if kind == "auto" and not _head(path).startswith((b"{", b"[")):
        return csv_file.entries(path, None, links)
    document = json_file.load(path)
    return JSON_DIALECTS[_tell(document) if kind == "auto" else kind](document, links)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()


def _tell(document: Any) -> str:
    if coco.is_one(document):
        return "coco"
    if vott_json.is_one(document):
        return "vott-json"
    raise Fault("is JSON, but neither a VoTT export (with assets) nor COCO (with images, annotations and categories)")


@dataclass
class _Gathered:
    """The images so far, by URL, and the faults."""

    name: str
    images: dict[str, AnnotatedImage] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    faults: Findings = field(default_factory=Findings)
    total: int = 0

    def add(self, place: str, found: Row | Fault) -> None:
        self.total += 1
        if self.total > MOST_ENTRIES:
            raise TooMuch(f"has more than {MOST_ENTRIES:,} entries")
        try:
            if isinstance(found, Fault):
                raise found
            self._add(found)
        except TooMuch:
            raise
        except Fault as fault:
            self.faults.add(Finding("line", f"{self.name} {place}", redact(str(fault))))
            if len(self.faults) > droppable(MOST_ENTRIES):  # whatever follows
                raise BadAnnotationsError(self._too_many()) from fault

    def _add(self, row: Row) -> None:
        image = self.images.get(row.url) or AnnotatedImage(row.url, label=row.label, size=row.size)
        if row.label and image.label and row.label != image.label:
            raise Fault(f"expected one class for each image, found {row.label!r} after {image.label!r}")
        if row.box and len(image.boxes) == MOST_BOXES:
            raise Fault(f"expected at most {MOST_BOXES:,} boxes on an image, found more")
        if row.label and not image.label:
            image = replace(image, label=row.label)
        if row.box:
            image.boxes.append(row.box)
        self.images[row.url] = image
        self._know(row.box.label if row.box else row.label)

    def _know(self, label: str | None) -> None:
        self.labels.update([label] if label else [])
        if len(self.labels) > MOST_CLASSES:
            raise TooMuch(f"has more than {MOST_CLASSES:,} classes")

    def annotations(self) -> Annotations:
        """Return what was gathered, unless that is too little."""
        if len(self.faults) > droppable(self.total):
            raise BadAnnotationsError(self._too_many())
        if not self.labels:
            raise BadAnnotationsError(
                f"{self.name} holds no annotated object: expected lines of url,x,y,width,height,class or one of the other "
                "formats of docs/annotations.md. Annotate some images, export again and send the message again."
            )
        return Annotations(list(self.images.values()), sorted(self.labels), self.faults.listed())

    def _too_many(self) -> str:
        faults, faulty = self.faults.listed(), len(self.faults)
        first = "; ".join(f"{fault.where}: {fault.what}" for fault in itertools.islice(faults, MOST_NAMED))
        if faulty == 1:
            unit = faults[0].where.removeprefix(self.name).split()[0]
            return f"{first}. Correct the {unit} and send the message again."
        return (
            f"{first}{'; …' if faulty > MOST_NAMED else ''}. {faulty} of {self.total} entries can't be used, "
            f"at most {droppable(self.total)} may be left out. Correct them and send the message again."
        )
