"""YOLO's text files, one for each image, as Darknet and Ultralytics read them.

The image is not named in the file: it has the same name, beside the file or in the folder `images` where that of the file is `labels`. A file
without lines is an image without objects.
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from vott_trainer.annotations import csv_lines, limits, text_file, yolo_lines
from vott_trainer.annotations.archives.contents import File
from vott_trainer.annotations.archives.image_names import ArchiveImages
from vott_trainer.annotations.archives.yolo_names import ClassNames
from vott_trainer.annotations.model import Box, Entries, FormatError, ImageLink, LimitExceededError, Row
from vott_trainer.annotations.values import excerpt, label

FOLDERS = {"labels": "images", "labeltxt": "images", "annotations": "images"}


def entries(files: Sequence[File], names: ClassNames, images: ArchiveImages) -> Entries:
    """Yield the row or error of each file and each line of it.

    Raises:
        LimitExceededError: there are too many lines.
    """
    for file in files:
        try:
            image = _image(file, images)
        except FormatError as error:
            yield file.name, error
            continue
        yield file.name, Row(image)
        with text_file.in_utf8(file.path) as readable, readable.open("rb") as content:
            yield from _rows(content, file, image, names)


def _image(file: File, images: ArchiveImages) -> ImageLink:
    folders = [FOLDERS.get(part.lower(), part) for part in file.parts[:-1]]
    if not (image := images.beside(file, (*folders, file.stem))):
        raise FormatError(f"expected an image {excerpt(file.stem)}.jpg or the like in the archive, found none")
    return images.claim(image, file.name)


def _rows(
    content: BinaryIO, file: File, image: ImageLink, names: ClassNames
) -> Iterator[tuple[str, Row | FormatError]]:
    for count, line in enumerate(csv_lines.lines(content), start=1):
        if count > limits.MAX_ENTRIES:
            raise LimitExceededError(f"{file.name} has more than {limits.MAX_ENTRIES:,} lines")
        try:
            if line.strip():
                yield f"{file.name} line {count}", Row(image, _box(line, file, names))
        except FormatError as error:
            yield f"{file.name} line {count}", error


def _box(line: bytes, file: File, names: ClassNames) -> Box:
    number, *numbers = yolo_lines.fields(line)
    return yolo_lines.box_of(numbers, label(names.of(number, file)), keypoints=names.keypoints)
