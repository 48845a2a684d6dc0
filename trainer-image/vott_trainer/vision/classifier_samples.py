"""Classifier samples: whole images, or their boxes, each as a square with a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from vott_guard.redaction import redact_url
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.crops import load_square
from vott_trainer.vision.decoded_cache import CacheMemory, DecodedCache, shared_memory
from vott_trainer.vision.spool import Spool


class View(NamedTuple):
    """An image, or one box of it, and its class."""

    image: LabelledImage
    label: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Crop:
    """A decoded view: uint8 [3, S, S]; `label` is the number of its class, from 0."""

    view: View
    pixels: Tensor
    label: int

    @property
    def name(self) -> str:
        """The image's URL, without its query."""
        return redact_url(self.view.image.url)


class Crops(Sequence[Crop]):
    """Views as crops, decoded on first access and cached.

    Args:
        memory: the cache's; by default shared by all datasets of this process.
        spool: where images are kept that do not fit into memory; without it they are decoded on each access.
    """

    def __init__(
        self,
        views: Sequence[View],
        labels: Sequence[str],
        size: int,
        memory: CacheMemory | None = None,
        *,
        spool: Spool | None = None,
    ) -> None:
        self.views = views
        self._arguments, self._spool = (labels, size, memory), spool
        numbers = {label: number for number, label in enumerate(labels)}

        def load(index: int) -> Crop:
            view = views[index]
            return Crop(view, load_square(view.image.path, size, view.box), numbers[view.label])

        self._cache = DecodedCache(load, memory or shared_memory(), spool)

    def __len__(self) -> int:
        return len(self.views)

    def __add__(self, other: "Crops") -> "Crops":
        return Crops([*self.views, *other.views], *self._arguments, spool=self._spool)

    def __getitem__(self, index: int) -> Crop:  # type: ignore[override] # no slices
        return self._cache[index]
