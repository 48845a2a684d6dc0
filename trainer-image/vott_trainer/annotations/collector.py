"""Rows to images and classes: a few invalid entries are left out and listed, too many are an error. Names that look alike are reported."""

import itertools
from dataclasses import dataclass, field, replace

from vott_guard.redaction import redact
from vott_trainer.annotations import class_names, image_places, limits
from vott_trainer.annotations.findings import Finding, Findings, shortened
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import (
    AnnotatedImage,
    Annotations,
    FormatError,
    ImageLink,
    LeftOutError,
    LimitExceededError,
    Note,
    Row,
)
from vott_trainer.errors import BadAnnotationsError

MAX_SHOWN = 5  # invalid entries in an error's text


def max_invalid(total: int) -> int:
    """Return how many of `total` entries may be left out: a tenth, rounded down."""
    return int(total * limits.MAX_INVALID_FRACTION)


@dataclass
class Collector:
    """The images of the file `name` so far, by their links; the reader's notes, the entries left out, and the invalid ones."""

    name: str
    urls: ImageUrls
    images: dict[ImageLink, AnnotatedImage] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    left_out: Findings = field(default_factory=Findings)
    invalid: Findings = field(default_factory=Findings)
    notes: Findings = field(default_factory=Findings)
    total: int = 0

    def add(self, place: str, entry: Row | Note | FormatError) -> None:
        """Take an entry in.

        Raises:
            BadAnnotationsError: too many entries are invalid, whatever follows.
            LimitExceededError: there are too many entries or classes.
        """
        if isinstance(entry, Note):
            self.notes.add(Finding("file", f"{self.name} {place}".rstrip(), redact(entry.what)))
            return
        self.total += 1
        if self.total > limits.MAX_ENTRIES:
            raise LimitExceededError(f"has more than {limits.MAX_ENTRIES:,} entries")
        try:
            if isinstance(entry, FormatError):
                raise entry
            self._add(entry)
        except LimitExceededError:
            raise
        except LeftOutError as error:
            self.left_out.add(Finding("line", f"{self.name} {place}", redact(str(error))))
        except FormatError as error:
            self.invalid.add(Finding("line", f"{self.name} {place}", redact(str(error))))
            if len(self.invalid) > max_invalid(limits.MAX_ENTRIES):
                raise BadAnnotationsError(self._too_many_invalid()) from error

    def _add(self, row: Row) -> None:
        image = self.images.get(row.image) or AnnotatedImage("", label=row.label, size=row.size, video=row.video)
        if row.label and image.label and row.label != image.label:
            raise FormatError(f"expected one class for each image, found {row.label!r} after {image.label!r}")
        if row.box and len(image.boxes) == limits.MAX_BOXES:
            raise FormatError(f"expected at most {limits.MAX_BOXES:,} boxes on an image, found more")
        if row.label and not image.label:
            image = replace(image, label=row.label)
        if row.box:
            image.boxes.append(row.box)
        self.images[row.image] = image
        self._add_label(row.box.label if row.box else row.label)

    def _add_label(self, label: str | None) -> None:
        self.labels.update([label] if label else [])
        if len(self.labels) > limits.MAX_CLASSES:
            raise LimitExceededError(f"has more than {limits.MAX_CLASSES:,} classes")

    def annotations(self) -> Annotations:
        """Return everything collected.

        Raises:
            BadAnnotationsError: too many entries are invalid, or there is no object.
        """
        if len(self.invalid) > max_invalid(self.total):
            raise BadAnnotationsError(self._too_many_invalid())
        if not self.labels:
            raise BadAnnotationsError(
                f"{self.name} has no annotated object{self._why_nothing()}. "
                "Annotate some images, export again and send the message again."
            )
        labels = sorted(self.labels)
        images, found = self._settled_images()
        entries = [*self.notes.listed(), *self.left_out.listed(), *self.invalid.listed()]
        return Annotations(images, labels, [*entries, *found, *shortened(class_names.alike(labels))])

    def _settled_images(self) -> tuple[list[AnnotatedImage], list[Finding]]:
        places, found = image_places.settled(self.images, self.urls)
        images: dict[str, AnnotatedImage] = {}
        for link, image in self.images.items():
            url, *others = places[link]
            if url in images:  # two links that stand for the same URLs
                images[url].boxes.extend(image.boxes)
            else:
                images[url] = replace(image, url=url, others=tuple(others))
        return list(images.values()), found

    def _why_nothing(self) -> str:
        if why := [*self.left_out.listed(), *self.notes.listed()][:1]:
            return f" ({why[0].where} {why[0].what})"
        if self.total:
            return ""
        return ": expected lines of url,x,y,width,height,class or one of the other formats of docs/annotations.md"

    def _too_many_invalid(self) -> str:
        listed, count = self.invalid.listed(), len(self.invalid)
        first = "; ".join(f"{finding.where}: {finding.what}" for finding in itertools.islice(listed, MAX_SHOWN))
        if count == 1:
            return f"{first}. Correct it and send the message again."
        return (
            f"{first}{'; …' if count > MAX_SHOWN else ''}. {count} of {self.total} entries can't be used, "
            f"at most {max_invalid(self.total)} may be left out. Correct them and send the message again."
        )
