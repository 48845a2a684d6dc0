"""Images in folders that are their classes, as image classifiers are often trained: `cat/1.jpg`, `train/cat/1.jpg`."""

import itertools
import re
from collections.abc import Sequence

from vott_trainer.annotations import other_formats
from vott_trainer.annotations.archives.contents import File, Parts, common
from vott_trainer.annotations.archives.image_names import ArchiveImages
from vott_trainer.annotations.model import Entries, FormatError, LeftOutError, Row
from vott_trainer.annotations.values import label

SUBSETS = frozenset(["train", "training", "test", "testing", "val", "valid", "validation"])
SUBSET_IN_NAME = re.compile(f"(?<![a-z])({'|'.join(SUBSETS)})(?![a-z])")
NO_CLASSES = re.compile(
    r"annotations|data|(depth|rgb)(left|right)?|frames?|hr|images?|imgs?|input|jpegimages|lr|output|upsampled"
)
"""Names of folders, beside those of masks, that tell of something else."""
MIN_LABELLED = 0.5  # of the images lie in a folder of a class


def are_classes(images: Sequence[File]) -> bool:
    """Whether the folders of images look like classes: several, of most images, whose names tell of nothing else."""
    depth = _common(images)
    found = [folders for image in images if (folders := _folders(image, depth))]
    names = {folders[0].lower() for folders in found}
    without_subsets = {SUBSET_IN_NAME.sub("", name) for name in names}  # of bbox_train and bbox_test
    return (
        len(names) > 1
        and len(found) >= MIN_LABELLED * len(images)
        and len(without_subsets) == len(names)
        and not any(NO_CLASSES.fullmatch(name) or other_formats.MASKS.fullmatch(name) for name in names)
        and not any(SUBSETS.intersection(map(str.lower, folders[1:-1])) for folders in found)  # a subset has classes
        and not any(other_formats.of_folders(image.parts[:-1]) for image in images)
    )


def entries(files: Sequence[File], images: ArchiveImages) -> Entries:
    """Yield the class of each image."""
    depth = _common(files)
    for file in files:
        try:
            if not (folders := _folders(file, depth)):
                raise LeftOutError("lies in no folder of a class: left out")
            yield file.name, Row(images.claim(file, file.name), label=label(folders[0]))
        except FormatError as error:
            yield file.name, error


def _common(images: Sequence[File]) -> int:
    """Return how many folders all images have in common."""
    folders = [image.parts[:-1] for image in images] or [()]
    return common(min(folders), max(folders))


def _folders(image: File, depth: int) -> Parts:
    """Return the folders from the class on: the first one below the common ones that is no subset."""
    return tuple(itertools.dropwhile(lambda folder: folder.lower() in SUBSETS, image.parts[depth:-1]))
