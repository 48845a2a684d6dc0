"""What a classifier looks at: whole images or what their boxes cut out, each in a square of equal size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from vott_guard.redaction import redact_url
from vott_trainer.annotations import Box
from vott_trainer.data.decoding import open_rgb
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.decoded_cache import Kept, Memory, shared
from vott_trainer.vision.resize import load_shrunk

GREY = (128, 128, 128)  # what fills the square where the image does not


class View(NamedTuple):
    """An image, or one box of it, and its class."""

    image: LabelledImage
    label: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Crop:
    """One view, decoded: uint8 [3, S, S]; `label` is the number of its class from 0."""

    view: View
    pixels: Tensor
    label: int

    @property
    def name(self) -> str:
        """The image's URL, without its query."""
        return redact_url(self.view.image.url)


def load_square(path: Path, size: int, box: Box | None = None) -> Tensor:
    """Decode an image, or cut out a box of it, and fit it into the middle of a square; returns uint8 [3, size, size]."""
    if box:
        whole = open_rgb(path)
        image = whole.crop(_pixels_of(box, whole))
    else:
        image, _ = load_shrunk(path, size)
    square = ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR, color=GREY)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def _pixels_of(box: Box, image: Image.Image) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom within the image, at least one pixel."""
    left, top = (min(max(0, int(start)), side - 1) for start, side in ((box.x, image.width), (box.y, image.height)))
    right, bottom = round(box.x + box.width), round(box.y + box.height)
    return left, top, min(max(left + 1, right), image.width), min(max(top + 1, bottom), image.height)


class Crops(Sequence[Crop]):
    """Views as crops; decoded when first asked for, by whatever thread, then kept while there is room.

    Args:
        memory: where; that of all data sets of this process, if none is given.
    """

    def __init__(self, views: Sequence[View], labels: Sequence[str], size: int, memory: Memory | None = None) -> None:
        self.views = views
        numbers = {label: number for number, label in enumerate(labels)}

        def load(index: int) -> Crop:
            view = views[index]
            return Crop(view, load_square(view.image.path, size, view.box), numbers[view.label])

        self._kept = Kept(load, memory or shared())

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> Crop:  # type: ignore[override] # no slices
        return self._kept[index]
