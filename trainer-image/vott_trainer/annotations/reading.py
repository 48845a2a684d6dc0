"""Read an annotation file of any format, or an archive that holds annotations and images."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from vott_guard.redaction import redact
from vott_trainer.annotations import formats, limits, text_file
from vott_trainer.annotations.archives.reading import ArchiveReader, folder_of, unpacked
from vott_trainer.annotations.collector import Collector
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Annotations, Format, FormatError, LimitExceededError
from vott_trainer.errors import BadAnnotationsError


def prepare(path: Path, name: str) -> None:
    """Unpack an archive for `read`, which several processes may call; the archive itself is deleted. Another file stays as it is.

    Raises:
        BadAnnotationsError: the archive is damaged or hostile, or of a type that is not read.
    """
    shutil.rmtree(folder_of(path), ignore_errors=True)
    with _explained(name):
        if unpacked(path):
            path.unlink()


def read(
    path: Path,
    name: str,
    *,
    annotation_format: Format = "auto",
    annotations_url: str | None = None,
    images_url: str | None = None,
) -> Annotations:
    """Read an annotation file, or an archive.

    Args:
        path: the file; an archive may have been unpacked by `prepare`.
        name: the file's name in errors and findings.
        annotation_format: the format (docs/annotations.md); `auto` detects all but `corners`.
        annotations_url: the file's URL; relative paths of images begin from its folder, with its query.
        images_url: where relative paths begin instead, a URL or a path from that folder.

    Raises:
        BadAnnotationsError: the file has an unknown format, exceeds a limit, has no object, or more than a tenth of its entries can't
            be used; with the file and the first invalid entries.
    """
    urls = ImageUrls.of(annotations_url, images_url)
    with _explained(name):
        if contents := unpacked(path):
            return ArchiveReader(contents, name, urls).read(annotation_format)
        return _read_file(path, name, annotation_format, urls)


def _read_file(path: Path, name: str, annotation_format: Format, urls: ImageUrls) -> Annotations:
    if path.stat().st_size > limits.MAX_TEXT_BYTES:
        raise LimitExceededError(
            f"is larger than {limits.MAX_TEXT_BYTES >> 30} GiB, the limit for a file that is no archive"
        )
    collector = Collector(name, urls)
    with text_file.in_utf8(path) as readable:
        if reason := formats.why_unreadable(readable):
            raise BadAnnotationsError(f"{name} {reason}, and send the message again.")
        for place, entry in formats.entries(readable, annotation_format, urls):
            collector.add(place, entry)
    return collector.annotations()


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Name the file and the remedy in errors."""
    try:
        yield
    except LimitExceededError as error:
        raise BadAnnotationsError(
            f"{name} {redact(str(error))}. Train on a part of it, and send the message again."
        ) from error
    except FormatError as error:
        raise BadAnnotationsError(
            f"{name} {redact(str(error))}. Correct the file, or name its format in the parameter annotationFormat, "
            "and send the message again."
        ) from error
