"""From annotated files to samples: each image is decoded and shrunk once, and kept in memory where there is room."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vott_guard.redaction import redact_url
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.decoded_cache import Kept, Memory, shared
from vott_trainer.vision.resize import load_shrunk


@dataclass(frozen=True, slots=True)
class Sample:
    """One image as the network sees it: uint8 [3, H, W], boxes [N, 4] as x1, y1, x2, y2 in its pixels, labels [N] from 1.

    `scale` is how many of its pixels there are for each pixel of the file.
    """

    image: LabelledImage
    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    scale: float

    @property
    def name(self) -> str:
        """The image's URL, without its query."""
        return redact_url(self.image.url)


def load_pixels(path: Path, image_size: int) -> tuple[Tensor, float]:
    """Decode an image and scale its longer side to `image_size`.

    Returns:
        uint8 [3, H, W] and the scale (pixels there for each pixel of the file).
    """
    image, scale = load_shrunk(path, image_size)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous(), scale


def load_sample(image: LabelledImage, labels: Sequence[str], image_size: int) -> Sample:
    """Decode one annotated image. Its boxes lie inside of it (`hygiene` has seen to that), and all of them stay."""
    pixels, scale = load_pixels(image.path, image_size)
    numbers = torch.tensor([labels.index(box.label) + 1 for box in image.boxes], dtype=torch.int64)
    return Sample(image, pixels, _inside(_corners(image.boxes) * scale, pixels, scale), numbers, scale)


def _corners(boxes: Sequence[Box]) -> Tensor:
    corners = [[box.x, box.y, box.x + box.width, box.y + box.height] for box in boxes]
    return torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)


def _inside(boxes: Tensor, pixels: Tensor, scale: float) -> Tensor:
    """Undo what rounding the image's sides to whole pixels did at its edge; a pixel of the file remains of each box."""
    edge = torch.tensor([pixels.shape[2], pixels.shape[1]], dtype=torch.float32)
    upper_left = torch.minimum(boxes[:, :2].clamp(min=0), edge - min(1.0, scale))
    lower_right = torch.minimum(boxes[:, 2:], edge)
    return torch.cat((upper_left, lower_right), dim=1)


class Samples(Sequence[Sample]):
    """Annotated images as samples; decoded when first asked for, by whatever thread, then kept while there is room.

    Args:
        memory: where; that of all data sets of this process, if none is given.
    """

    def __init__(
        self, images: Sequence[LabelledImage], labels: Sequence[str], image_size: int, memory: Memory | None = None
    ) -> None:
        self.images = images
        self._kept = Kept(lambda index: load_sample(images[index], labels, image_size), memory or shared())

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        return self._kept[index]
