"""Split into training and held-out (validation) items: by scene, every class on both sides, and the same in every run."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar

from vott_trainer.data.file_digest import file_digest
from vott_trainer.data.folds import held_out_in
from vott_trainer.data.stratification import held_out
from vott_trainer.plugin_api import Fold, LabelledImage
from vott_trainer.plugin_api.fold import ONLY


class ClassifiedImage(Protocol):
    """An image, or a part of it, with its class."""

    @property
    def image(self) -> LabelledImage:
        """The whole image."""

    @property
    def label(self) -> str:
        """The class."""


T = TypeVar("T", bound=ClassifiedImage)


def split_images(
    images: Sequence[LabelledImage], held_out_fraction: float, fold: Fold = ONLY
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Split images with boxes, or with none, into training and held-out ones.

    All images of a scene are on one side. Each class with two or more scenes is on both sides where possible, and the held-out share of
    each class is near the fraction. Images keep their side when others are added, but for a few that balance the classes.

    In a cross-validation each image is held out in one fold, and the fraction does not matter.

    Raises:
        NoUsableImagesError: there are too few scenes for the folds.
    """
    classes = [Counter[str | None]({box.label for box in image.boxes} or [None]) for image in images]
    sides = _are_held_out(images, classes, held_out_fraction, fold)
    return _divided(images, sides)


def split_by_class(items: Sequence[T], held_out_fraction: float, fold: Fold = ONLY) -> tuple[list[T], list[T]]:
    """Split classified images, or parts of images, as `split_images` does: all parts of an image are on one side."""
    classes = [Counter[str | None]({item.label}) for item in items]
    sides = _are_held_out([item.image for item in items], classes, held_out_fraction, fold)
    return _divided(items, sides)


def _are_held_out(
    images: Sequence[LabelledImage], classes: Sequence[Counter[str | None]], fraction: float, fold: Fold
) -> list[bool]:
    keys = _scene_keys(images)
    scenes: defaultdict[bytes, Counter[str | None]] = defaultdict(Counter)
    for key, counts in zip(keys, classes, strict=True):
        scenes[key].update(counts)
    chosen = held_out_in(fold, scenes) if fold.is_one_of_several else held_out(scenes, fraction)
    return [key in chosen for key in keys]


def _scene_keys(images: Sequence[LabelledImage]) -> list[bytes]:
    """Return the smallest digest of each image's scene: it changes with the content alone, and rarely when the scene grows."""
    digests = {path: file_digest(path) for path in {image.path for image in images}}
    smallest: dict[int, bytes] = {}
    for image in images:
        if image.scene is not None:
            digest = digests[image.path]
            smallest[image.scene] = min(digest, smallest.get(image.scene, digest))
    return [digests[image.path] if image.scene is None else smallest[image.scene] for image in images]


S = TypeVar("S")


def _divided(items: Sequence[S], are_held_out: Sequence[bool]) -> tuple[list[S], list[S]]:
    pairs = list(zip(items, are_held_out, strict=True))
    return [item for item, measured in pairs if not measured], [item for item, measured in pairs if measured]
