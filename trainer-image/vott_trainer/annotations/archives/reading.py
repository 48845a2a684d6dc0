"""Read the annotations of an archive, with the images that it holds."""

import itertools
from dataclasses import replace
from pathlib import Path

from vott_trainer.annotations import formats, other_formats, text_file
from vott_trainer.annotations.archives import class_folders, unpacking, yolo
from vott_trainer.annotations.archives.contents import INDEX, Contents, File
from vott_trainer.annotations.archives.file_types import archive_type
from vott_trainer.annotations.archives.grouping import FOLDERS, YOLO, Group, Grouping
from vott_trainer.annotations.archives.image_names import ArchiveImages, ImagesNear
from vott_trainer.annotations.archives.yolo_names import ClassNames
from vott_trainer.annotations.collector import Collector
from vott_trainer.annotations.csv_names import COLUMNS
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Annotations, Entries, FormatError, LimitExceededError, Note, Row

NOT_READ = "which is not read"  # of a format that has a name


def folder_of(path: Path) -> Path:
    """Return where an archive is unpacked."""
    return path.with_name(f"{path.name}.unpacked")


def unpacked(path: Path) -> Contents | None:
    """Unpack the archive at `path` beside it, and return what it holds; of one that has been deleted since, what was unpacked then.

    Returns:
        None if the file is no archive.

    Raises:
        FormatError: it is damaged or hostile, or of a type that is not read.
        LimitExceededError: it exceeds the limits.
    """
    if not path.exists() and (folder_of(path) / INDEX).exists():
        return Contents.read(folder_of(path))
    kind = archive_type(path)
    return unpacking.unpack(path, kind, folder_of(path)) if kind else None


class ArchiveReader:
    """Reads one archive; `name` is its name in errors and findings."""

    def __init__(self, contents: Contents, name: str, urls: ImageUrls) -> None:
        self._contents, self._name, self._urls = contents, name, urls
        self._images = ArchiveImages(contents, name)

    def read(self, annotation_format: str) -> Annotations:
        """Read the annotations.

        Raises:
            BadAnnotationsError: too many entries are invalid, or there is no object.
            FormatError: there are no annotations, or two names would be the same image.
            LimitExceededError: there are too many entries.
        """
        collector = Collector(self._name, self._urls)
        for place, entry in itertools.chain(self._entries(annotation_format), self._notes()):
            collector.add(place, entry)
        if self._images.conflict:
            raise FormatError(
                f"can't be read without mistaking images: {self._images.conflict}. Give images of one name different names"
            )
        found = collector.annotations()
        used = self._images.images
        return replace(found, files={image.url: used[image.url].path for image in found.images if image.url in used})

    def _entries(self, annotation_format: str) -> Entries:
        """Yield the entries of the files to read, and a note on those that are not."""
        if annotation_format == FOLDERS:
            yield from class_folders.entries(self._contents.images, self._images)
            return
        reasons: dict[str, str] = {}
        groups = Grouping(self._contents, self._near, reasons).groups()
        wanted = COLUMNS if annotation_format in COLUMNS else {annotation_format}
        chosen = next((group for group in groups if annotation_format == "auto" or group.kind in wanted), None)
        if not chosen:
            raise FormatError(self._why_nothing(groups, reasons, annotation_format))
        for group in groups:
            if group is not chosen:
                read, unread = (f"{_listed(one.files)} ({one.kind})" for one in (chosen, group))
                choice = "" if group.kind == chosen.kind else ". The parameter annotationFormat chooses a format"
                yield _note(f"{read}: read; {unread}: not used{choice}")
        yield from self._of_group(chosen, annotation_format)

    def _of_group(self, group: Group, annotation_format: str) -> Entries:
        if group.kind == FOLDERS:
            yield from class_folders.entries(group.files, self._images)
        elif group.kind == YOLO:
            names = ClassNames.read(self._contents.texts)
            if not names.found:
                yield _note("has no names of the classes (data.yaml, classes.txt or obj.names): their numbers are used")
            yield from yolo.entries(group.files, names, self._images)
        else:
            yield from self._of_files(group.files, annotation_format if group.kind in COLUMNS else group.kind)

    def _of_files(self, files: list[File], kind: str) -> Entries:
        for file in files:
            try:
                with text_file.in_utf8(file.path) as readable:
                    for place, entry in formats.entries(readable, kind, self._near(file)):
                        found = self._images.claimed(entry) if isinstance(entry, Row) else entry
                        yield f"{file.name} {place}".rstrip(), found
            except LimitExceededError as error:
                raise LimitExceededError(f"{file.name} {error}") from error
            except FormatError as error:
                if kind != "voc":
                    raise FormatError(f"{file.name} {error}") from error
                yield file.name, error  # one image

    def _near(self, file: File) -> ImagesNear:
        return ImagesNear(by_name=True, images=self._images, near=file, elsewhere=self._urls)

    def _why_nothing(self, groups: list[Group], reasons: dict[str, str], annotation_format: str) -> str:
        images, texts, ignored = self._contents.images, self._contents.texts, self._contents.ignored
        if groups:
            kinds = " and ".join(dict.fromkeys(group.kind for group in groups))
            return f"has annotations in the format {kinds}, none in the format {annotation_format}"
        told = [f"{name} {reason}" for name, reason in reasons.items()]
        named = [reason for reason in told if NOT_READ in reason]
        if causes := named[:1] or [*told[:1], *self._told_by_images()]:
            return f"has no annotations in a known format; {'; '.join(causes)}"
        if other_formats.ARCHIVES & ignored.keys():
            return "holds another archive or compressed file: pack the files themselves"
        if known := [name for ending, name in other_formats.ENDINGS.items() if ending in ignored]:
            return f"holds {known[0]}, which is not read: {other_formats.EXPORT}"
        return f"holds no annotations in a known format (images: {len(images):,}, texts: {len(texts):,}): {other_formats.EXPORT}"

    def _told_by_images(self) -> list[str]:
        """Return of which data set the folders of the images are, or which of them marks objects."""
        for image in self._contents.images:
            if name := other_formats.of_folders(image.parts[:-1]):
                return [f"{image.name} is of {name}, {NOT_READ}: {other_formats.EXPORT}"]
            if any(other_formats.MASKS.fullmatch(folder.lower()) for folder in image.parts[:-1]):
                return [f"{image.name} marks objects by colours, {NOT_READ}: {other_formats.EXPORT}"]
        return []

    def _notes(self) -> Entries:
        """Report images that no annotation names, and links."""
        images, links = self._contents.images, self._contents.links
        if unused := [image for image in images if not self._images.is_used(image)]:
            few = _listed(unused)
            yield _note(f"{len(unused)} of {len(images)} images are not used, because no annotation names them: {few}")
        if links:
            more = f" and {len(links) - 1} more" if len(links) > 1 else ""
            yield _note(f"links and other special files are left out: {links[0]}{more}")


def _note(what: str) -> tuple[str, Note]:
    return "", Note(what)


def _listed(files: list[File]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0].name}{more}"
