"""A network and its default settings: image size, batch size, learning rate and number of epochs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vott_trainer.learning.initial_weights import Head

Build = Callable[..., nn.Module]
"""Builds a network with random weights from `num_classes`.

Those of detectors count the background, and come with `image_size`, the longer side of the images in pixels. A detector that has no
`queries` also gets `max_detections`, the most on an image.
"""

MIN_DETECTIONS = 100  # of an image that a detector may return; as in COCO
CANDIDATES = 10  # for each detection, before duplicates are dropped; as in torchvision


@dataclass(frozen=True)
class Architecture:
    """A network and the settings that suit it.

    Attributes:
        image_size: in pixels; the smallest one that is chosen by itself, if there is a `largest_image_size`.
        cpu_batch_size: the batch size on a CPU, if it is another: a budget allows so few steps there that more and smaller ones learn more.
        images_shown: the number of images that a default training shows to the network, unless `epochs` are more.
        epochs: the fewest that are chosen by itself.
        heads: its parameters that depend on the classes.
        backbone: how the names of its pretrained layers begin; they learn more slowly.
        is_large: whether it learns nothing from random weights and the images that a labeller has.
        packaged: reads weights that are installed with the trainer, of the backbone only.
        freeze_batch_norm: batch normalization keeps the statistics and factors of the initial weights.
        scale: smallest and largest factor on the size of training images.
        mask_stride: pixels of an image for each pixel of a mask that it learns; 0 if it learns none.
        square: the network takes images stretched to a square, whose side is `image_size`.
        queries: of a DETR, which finds at most one object for each; the others return as many detections as they are built for.
    """

    build: Build
    image_size: int
    batch_size: int
    learning_rate: float
    images_shown: int
    epochs: int
    heads: tuple[Head, ...] = ()
    backbone: tuple[str, ...] = ()
    is_large: bool = True
    packaged: Callable[[], dict[str, Tensor]] | None = None
    largest_image_size: int | None = None
    freeze_batch_norm: bool = False
    mask_stride: int = 0
    square: bool = False
    scale: tuple[float, float] = (0.5, 1.5)
    queries: int | None = None
    cpu_batch_size: int | None = None

    def batch_size_on(self, device: torch.device) -> int:
        """Return the default batch size."""
        return self.cpu_batch_size if self.cpu_batch_size and device.type == "cpu" else self.batch_size
