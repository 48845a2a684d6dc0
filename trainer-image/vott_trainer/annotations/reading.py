"""Read an annotation file of any format."""

from pathlib import Path

from vott_guard.redaction import redact
from vott_trainer.annotations import formats
from vott_trainer.annotations.collector import Collector
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Annotations, Format, FormatError, LimitExceededError
from vott_trainer.errors import BadAnnotationsError


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
        name: the file's name in errors and findings.
        annotation_format: the format (docs/annotations.md); `auto` detects all but `corners`.
        annotations_url: the file's URL; relative paths of images begin from its folder, with its query.
        images_url: where relative paths begin instead, a URL or a path from that folder.

    Raises:
        BadAnnotationsError: the file has an unknown format, exceeds a limit, has no object, or more than a tenth of its entries can't
            be used; with the file and the first invalid entries.
    """
    if reason := formats.why_unreadable(path):
        raise BadAnnotationsError(f"{name} {reason}, and send the message again.")
    collector = Collector(name)
    try:
        for place, entry in formats.entries(path, annotation_format, ImageUrls.of(annotations_url, images_url)):
            collector.add(place, entry)
    except LimitExceededError as error:
        raise BadAnnotationsError(f"{name} {error}. Train on a part of it, and send the message again.") from error
    except FormatError as error:
        raise BadAnnotationsError(
            f"{name} {redact(str(error))}. Correct the file, or name its format in the parameter annotationFormat, "
            "and send the message again."
        ) from error
    return collector.annotations()
