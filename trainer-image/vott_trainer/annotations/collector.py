"""Rows to images and classes: a few invalid entries are left out and listed, too many are an error."""

import itertools
from dataclasses import dataclass, field, replace

from vott_guard.redaction import redact
from vott_trainer.annotations import limits
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import AnnotatedImage, Annotations, FormatError, LimitExceededError, Row
from vott_trainer.errors import BadAnnotationsError

MAX_SHOWN = 5  # invalid entries in an error's text


def max_invalid(total: int) -> int:
    """Return how many of `total` entries may be left out: a tenth, rounded down."""
    return int(total * limits.MAX_INVALID_FRACTION)


@dataclass
class Collector:
    """The images of the file `name` so far, by URL, and the invalid entries."""

    name: str
    images: dict[str, AnnotatedImage] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    invalid: Findings = field(default_factory=Findings)
    total: int = 0

    def add(self, place: str, entry: Row | FormatError) -> None:
        """Take an entry in.

        Raises:
            BadAnnotationsError: too many entries are invalid, whatever follows.
            LimitExceededError: there are too many entries or classes.
        """
        self.total += 1
        if self.total > limits.MAX_ENTRIES:
            raise LimitExceededError(f"has more than {limits.MAX_ENTRIES:,} entries")
        try:
            if isinstance(entry, FormatError):
                raise entry
            self._add(entry)
        except LimitExceededError:
            raise
        except FormatError as error:
            self.invalid.add(Finding("line", f"{self.name} {place}", redact(str(error))))
            if len(self.invalid) > max_invalid(limits.MAX_ENTRIES):
                raise BadAnnotationsError(self._too_many_invalid()) from error

    def _add(self, row: Row) -> None:
        image = self.images.get(row.url) or AnnotatedImage(row.url, label=row.label, size=row.size)
        if row.label and image.label and row.label != image.label:
            raise FormatError(f"expected one class for each image, found {row.label!r} after {image.label!r}")
        if row.box and len(image.boxes) == limits.MAX_BOXES:
            raise FormatError(f"expected at most {limits.MAX_BOXES:,} boxes on an image, found more")
        if row.label and not image.label:
            image = replace(image, label=row.label)
        if row.box:
            image.boxes.append(row.box)
        self.images[row.url] = image
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
                f"{self.name} has no annotated object: expected lines of url,x,y,width,height,class or one of the other "
                "formats of docs/annotations.md. Annotate some images, export again and send the message again."
            )
        return Annotations(list(self.images.values()), sorted(self.labels), self.invalid.listed())

    def _too_many_invalid(self) -> str:
        listed, count = self.invalid.listed(), len(self.invalid)
        first = "; ".join(f"{finding.where}: {finding.what}" for finding in itertools.islice(listed, MAX_SHOWN))
        if count == 1:
            unit = listed[0].where.removeprefix(self.name).split()[0]
            return f"{first}. Correct the {unit} and send the message again."
        return (
            f"{first}{'; …' if count > MAX_SHOWN else ''}. {count} of {self.total} entries can't be used, "
            f"at most {max_invalid(self.total)} may be left out. Correct them and send the message again."
        )
