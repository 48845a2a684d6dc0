"""Detector samples: annotated images as the network sees them, with scaled boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vott_guard.redaction import redact_url
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.decoded_cache import CacheMemory, DecodedCache, shared_memory
from vott_trainer.vision.resize import Scale, load_resized
from vott_trainer.vision.shapes import Shape
from vott_trainer.vision.spool import Spool


@dataclass(frozen=True, slots=True)
class Sample:
    """A decoded image: uint8 [3, H, W], boxes [N, 4] as x1, y1, x2, y2 in its pixels, labels [N] from 1.

    `scale` is the number of its pixels for each pixel of the file, across and down. `shapes` are the objects' outlines in its pixels, if
    they are learned.
    """

    image: LabelledImage
    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    scale: Scale
    shapes: tuple[Shape, ...] = ()

    @property
    def name(self) -> str:
        """The image's URL, without its query."""
        return redact_url(self.image.url)


def load_pixels(path: Path, image_size: int, *, square: bool = False) -> tuple[Tensor, Scale]:
    """Decode an image and resize it as `load_resized` does; return uint8 [3, H, W] and the scale."""
    image, scale = load_resized(path, image_size, square=square)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous(), scale


def load_sample(
    image: LabelledImage, labels: Sequence[str], image_size: int, *, square: bool = False, shapes: bool = False
) -> Sample:
    """Decode an annotated image with all its boxes; `data.checks` has clipped them. With `shapes`, boxes surround the outlines."""
    pixels, scale = load_pixels(image.path, image_size, square=square)
    number_of = {label: number for number, label in enumerate(labels, start=1)}
    numbers = torch.tensor([number_of[box.label] for box in image.boxes], dtype=torch.int64)
    outlines = tuple(Shape.of(box).moved(scale) for box in image.boxes) if shapes else ()
    corners = _corners(image.boxes) * torch.tensor(scale * 2)
    if outlines:
        corners = torch.tensor([shape.bounds for shape in outlines])
    return Sample(image, pixels, _clipped(corners, pixels, scale), numbers, scale, outlines)


def _corners(boxes: Sequence[Box]) -> Tensor:
    corners = [[box.x, box.y, box.x + box.width, box.y + box.height] for box in boxes]
    return torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)


def _clipped(boxes: Tensor, pixels: Tensor, scale: Scale) -> Tensor:
    """Clip to the image; each box has at least one pixel of the file, an outline as thin as a line too: no network takes empty boxes."""
    edge = torch.tensor([pixels.shape[2], pixels.shape[1]], dtype=torch.float32)
    least = torch.tensor(scale).clamp(max=1)
    upper_left = torch.minimum(boxes[:, :2].clamp(min=0), edge - least)
    lower_right = torch.maximum(torch.minimum(boxes[:, 2:], edge), upper_left + least)
    return torch.cat((upper_left, lower_right), dim=1)


class Samples(Sequence[Sample]):
    """Annotated images as samples, decoded on first access and cached.

    Args:
        image_size: pixels of the longer side; with `square`, of both sides.
        shapes: whether the samples have the outlines of their objects.
        memory: the cache's; by default shared by all datasets of this process.
        spool: where images are kept that do not fit into memory; without it they are decoded on each access.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        labels: Sequence[str],
        image_size: int,
        memory: CacheMemory | None = None,
        *,
        square: bool = False,
        spool: Spool | None = None,
        shapes: bool = False,
    ) -> None:
        self.images = images
        self._options: Any = {"square": square, "spool": spool, "shapes": shapes}
        self._arguments = labels, image_size, memory
        self._cache = DecodedCache(
            lambda i: load_sample(images[i], labels, image_size, square=square, shapes=shapes),
            memory or shared_memory(),
            spool,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, other: "Samples") -> "Samples":
        return Samples([*self.images, *other.images], *self._arguments, **self._options)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        return self._cache[index]
