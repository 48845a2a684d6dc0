"""From annotated files to batches: each image is decoded and shrunk once, kept in memory, and varied anew each epoch."""

import hashlib
import logging
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vott_trainer.annotations import Box
from vott_trainer.images import open_rgb
from vott_trainer.plugins.base import LabelledImage
from vott_trainer.ranks import Ranks
from vott_trainer.urls import redact_url

log = logging.getLogger(__name__)

CACHE_BYTES = 2 << 30  # of the processes of one pod together; images beyond it are decoded again each epoch
SMALLEST_SIDE = 1.0  # pixels that must remain of a box inside its image


@dataclass(frozen=True, slots=True)
class Sample:
    """One image as the network sees it: uint8 [3, H, W], boxes [N, 4] as x1, y1, x2, y2 in its pixels, labels [N] from 1."""

    name: str
    pixels: Tensor
    boxes: Tensor
    labels: Tensor

    def target(self) -> dict[str, Tensor]:
        """Return what torchvision's detectors train on."""
        return {"boxes": self.boxes, "labels": self.labels}


@dataclass(frozen=True, slots=True)
class Batch:
    """Float images [3, H, W] in 0..1, targets, and names for messages."""

    images: list[Tensor]
    targets: list[dict[str, Tensor]]
    names: list[str]


def load_pixels(path: Path, image_size: int) -> tuple[Tensor, float]:
    """Decode an image and scale its longer side to `image_size`.

    Returns:
        uint8 [3, H, W] and the scale (pixels there for each pixel of the file).
    """
    image = open_rgb(path)
    scale = image_size / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous(), scale


def load_sample(image: LabelledImage, labels: Sequence[str], image_size: int) -> Sample:
    """Decode one annotated image; what lies outside of it is cut off its boxes."""
    pixels, scale = load_pixels(image.path, image_size)
    boxes = _corners(image.boxes) * scale
    boxes[:, 0::2].clamp_(0, pixels.shape[2])
    boxes[:, 1::2].clamp_(0, pixels.shape[1])
    inside = ((boxes[:, 2:] - boxes[:, :2]) >= min(SMALLEST_SIDE, scale)).all(dim=1)
    if not inside.all():
        log.warning(
            "%s: %d boxes lie outside of the image and are left out", redact_url(image.url), int((~inside).sum())
        )
    numbers = torch.tensor([labels.index(box.label) + 1 for box in image.boxes], dtype=torch.int64)
    return Sample(redact_url(image.url), pixels, boxes[inside], numbers[inside])


def _corners(boxes: Sequence[Box]) -> Tensor:
    corners = [[box.x, box.y, box.x + box.width, box.y + box.height] for box in boxes]
    return torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)


def share(images: Sequence[LabelledImage], ranks: Ranks) -> list[LabelledImage]:
    """Return the images that one rank learns from: equally many on each, a few of them twice where they do not divide."""
    each = math.ceil(len(images) / ranks.world_size)
    return [images[(ranks.rank + number * ranks.world_size) % len(images)] for number in range(each)]


class Samples(Sequence[Sample]):
    """Annotated images as samples, decoded by several threads at first, then from memory while that suffices."""

    def __init__(self, images: Sequence[LabelledImage], labels: Sequence[str], image_size: int, workers: int) -> None:
        self.images, self._labels, self._image_size = images, labels, image_size
        self.workers = workers
        self._cache: dict[int, Sample] = {}
        room = CACHE_BYTES // Ranks.from_environment().local_world_size // (3 * image_size * image_size)
        with ThreadPoolExecutor(workers, "decode") as pool:
            self._cache.update(enumerate(pool.map(self._load, range(min(room, len(images))))))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        return self._cache.get(index) or self._load(index)

    def _load(self, index: int) -> Sample:
        return load_sample(self.images[index], self._labels, self._image_size)


class Batches:
    """The training batches of each epoch, shuffled and varied; the same seed gives the same ones."""

    def __init__(self, samples: Samples, batch_size: int, device: torch.device, seed: int | str) -> None:
        self._samples, self._batch_size, self._device, self._seed = samples, batch_size, device, seed

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return math.ceil(len(self._samples) / self._batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the next one is decoded meanwhile."""
        rng = random.Random(f"{self._seed}/{epoch}")  # noqa: S311 - shuffling, no secret
        order = rng.sample(range(len(self._samples)), len(self._samples))
        with ThreadPoolExecutor(self._samples.workers, "decode") as pool:
            chunks = [order[start : start + self._batch_size] for start in range(0, len(order), self._batch_size)]
            coming = pool.map(self._samples.__getitem__, chunks[0])
            for chunk in [*chunks[1:], []]:
                samples, coming = list(coming), pool.map(self._samples.__getitem__, chunk)
                yield self._batch(samples, rng)

    def _batch(self, samples: Sequence[Sample], rng: random.Random) -> Batch:
        pairs = [vary(sample.pixels.to(self._device), sample.boxes.to(self._device), rng) for sample in samples]
        targets = [
            {"boxes": boxes, "labels": s.labels.to(self._device)} for (_, boxes), s in zip(pairs, samples, strict=True)
        ]
        return Batch([pixels for pixels, _ in pairs], targets, [sample.name for sample in samples])


def vary(pixels: Tensor, boxes: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Return a float image in 0..1 with random brightness and contrast, mirrored half of the time, and its boxes."""
    image = pixels.float() / 255
    image = ((image - 0.5) * rng.uniform(0.8, 1.2) + 0.5 + rng.uniform(-0.1, 0.1)).clamp_(0, 1)
    if rng.random() < 0.5:
        image, width = image.flip(-1), image.shape[-1]
        boxes = torch.stack((width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]), dim=1)
    return image, boxes


def split(images: Sequence[LabelledImage], fraction: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Return training images and held-out images; the images' bytes alone decide, so that every run splits alike.

    Images with and without boxes are split apart, and at least one image with boxes is on each side (given two).
    """
    training, held_out = [], []
    for group in ([i for i in images if i.boxes], [i for i in images if not i.boxes]):
        ranked = sorted(group, key=lambda image: hashlib.sha256(image.path.read_bytes()).digest())
        count = round(len(ranked) * fraction)
        count = min(max(1, count), len(ranked) - 1) if ranked and ranked[0].boxes else count
        held_out += ranked[:count]
        training += ranked[count:]
    return training, held_out
