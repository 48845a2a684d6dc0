"""Which files of an archive are annotations, in groups of one format, the best one first."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vott_trainer.annotations import csv_detection, csv_file, csv_lines, formats, other_formats, text_file, yolo_lines
from vott_trainer.annotations.archives import class_folders, yolo_names
from vott_trainer.annotations.archives.contents import Contents, File
from vott_trainer.annotations.archives.image_names import ImagesNear
from vott_trainer.annotations.model import FormatError, LimitExceededError, Row

YOLO, FOLDERS = "yolo", "folders"
KINDS = (
    *formats.JSON_FORMATS,
    *formats.XML_FORMATS,
    YOLO,
    "vott-csv",
    "vott-web",
    "classes",
    FOLDERS,
)  # the first one is read
TABLES = (".csv", ".tsv")
COCO_WITHOUT_BOXES = re.compile("captions|image_info|panoptic")
SAMPLE = 20  # lines that tell whether a table names images of the archive

Near = Callable[[File], ImagesNear]


@dataclass(frozen=True)
class Group:
    """Files of one format."""

    kind: str
    files: list[File]


@dataclass
class Grouping:
    """Groups the texts of an archive. `near` makes what names in a file are resolved with, to try it.

    `reasons` says of files that might be annotations why they are none.
    """

    contents: Contents
    near: Near
    reasons: dict[str, str]

    def groups(self) -> list[Group]:
        """Return the groups; classes by folder only where there is no other.

        Raises:
            FormatError: a file of JSON or XML can't be parsed.
        """
        found: defaultdict[tuple[str, int], list[File]] = defaultdict(list)
        for file in self.contents.texts:
            if kind := self._kind(file):
                found[kind, _rank(kind, file)].append(file)
        if labels := found.get((YOLO, 0)):
            found[YOLO, 0] = self._with_empty_files(labels)
        if not found and not self.reasons and class_folders.are_classes(self.contents.images):
            return [Group(FOLDERS, self.contents.images)]
        ordered = sorted(found, key=lambda key: (KINDS.index(key[0]), key[1]))
        return [Group(kind, found[kind, rank]) for kind, rank in ordered]

    def _kind(self, file: File) -> str | None:
        if yolo_names.is_list(file) or file.suffix in yolo_names.SETTINGS:
            return None
        try:
            with text_file.in_utf8(file.path) as readable:
                return formats.recognized(readable) or self._kind_of_lines(file, readable)
        except formats.UnknownFormatError as error:
            self.reasons[file.name] = str(error)
        except LimitExceededError as error:
            raise LimitExceededError(f"{file.name} {error}") from error
        except FormatError as error:
            raise FormatError(f"{file.name} {error}") from error
        return None

    def _kind_of_lines(self, file: File, readable: Path) -> str | None:
        with readable.open("rb") as content:
            first = list(itertools.islice(csv_lines.lines(content), SAMPLE))
        data_set = other_formats.of_folders(file.parts[:-1], other_formats.TEXT_FOLDERS)
        if not data_set and yolo_lines.is_labels(first):
            return YOLO
        if other := data_set or other_formats.of_text(file.parts[-1], first):
            self.reasons[file.name] = f"is in the format of {other}, which is not read: {other_formats.EXPORT}"
            return None
        try:
            return self._kind_of_table(file, readable)
        except FormatError as error:
            if file.suffix in TABLES or self._may_be_annotations(file, first):
                self.reasons[file.name] = str(error)
            return None

    def _may_be_annotations(self, file: File, first: list[bytes]) -> bool:
        """Whether a text has the name of an image, or one of its first lines begins with that."""
        names = self._names_of_images
        words = (line.decode(errors="replace").replace(",", " ").replace(";", " ").split()[:1] for line in first)
        return file.stem in names or any(word.rpartition("/")[2] in names for line in words for word in line)

    @cached_property
    def _names_of_images(self) -> frozenset[str]:
        return frozenset(name for image in self.contents.images for name in (image.stem, image.parts[-1]))

    def _kind_of_table(self, file: File, readable: Path) -> str | None:
        """Return the format of a table that has an object on an image of the archive in its first lines. Any text may look like one.

        Raises:
            FormatError: it is no table, or its first lines have no object, but an error.
        """
        with readable.open("rb") as content:
            layout = csv_detection.detect(csv_lines.lines(content), None)
        kind = "classes" if not layout.columns.box else "vott-csv" if layout.header else "vott-web"
        if not self.contents.images:
            return kind if file.suffix in TABLES else None
        errors: list[FormatError] = []
        for place, entry in itertools.islice(csv_file.entries(readable, None, self.near(file)), SAMPLE):
            if isinstance(entry, Row) and (entry.box or entry.label):
                return kind
            if isinstance(entry, FormatError):
                errors.append(FormatError(f"{place}: {entry}"))
        if errors:
            raise errors[0]
        return None

    def _with_empty_files(self, labels: list[File]) -> list[File]:
        """Add the text files that have an image's name: without lines, or with a first line that is none of YOLO's."""
        stems, known = {image.stem for image in self.contents.images}, {file.name for file in labels}
        return [
            file for file in self.contents.texts if file.name in known or (file.suffix == ".txt" and file.stem in stems)
        ]


def _rank(kind: str, file: File) -> int:
    """Return 0 for the files to read of a format, more for those that are read if there are no better ones.

    COCO's and Open Images' with boxes are better, and VoTT's export than its project's files of assets.
    """
    name = file.parts[-1].lower()
    if kind == "coco":
        return 2 if COCO_WITHOUT_BOXES.match(name) else 0 if name.startswith("instances") else 1
    return (kind == "vott-json" and name.endswith("-asset.json")) or (kind == "vott-csv" and "segmentation" in name)
