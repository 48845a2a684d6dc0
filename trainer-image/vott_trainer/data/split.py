"""Split into training and held-out (validation) images, by the images' bytes alone: the same in every run."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from vott_trainer.data.file_digest import file_digest
from vott_trainer.plugin_api import LabelledImage


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
    images: Sequence[LabelledImage], held_out_fraction: float
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Split images with and without boxes separately. Each side gets at least one image with boxes if there are two."""
    training, held_out = [], []
    for group in ([i for i in images if i.boxes], [i for i in images if not i.boxes]):
        ranked = sorted(group, key=lambda image: file_digest(image.path))
        count = round(len(ranked) * held_out_fraction)
        count = min(max(1, count), len(ranked) - 1) if ranked and ranked[0].boxes else count
        held_out += ranked[:count]
        training += ranked[count:]
    return training, held_out


def split_by_class(items: Sequence[T], held_out_fraction: float) -> tuple[list[T], list[T]]:
    """Split each class separately. Each side gets at least one image of a class if there are two.

    All items of one image with the same class are on the same side.
    """
    training: list[T] = []
    held_out: list[T] = []
    digests = {item.image.path: file_digest(item.image.path) for item in items}
    for label in sorted({item.label for item in items}):
        group = [item for item in items if item.label == label]
        ranked = sorted({digests[item.image.path] for item in group})
        count = min(max(1, round(len(ranked) * held_out_fraction)), len(ranked) - 1)
        held_out_digests = set(ranked[:count])
        for item in group:
            (held_out if digests[item.image.path] in held_out_digests else training).append(item)
    return training, held_out
