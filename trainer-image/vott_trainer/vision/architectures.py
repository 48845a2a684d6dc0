"""A network and its default settings: image size, batch size, learning rate and number of epochs."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from vott_trainer.learning.initial_weights import Head

Build = Callable[..., nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A network and the settings that suit it.

    `images_shown` is the number of images that a default training shows to the network; `heads` are its parameters that depend on the
    classes. With `keeps_statistics`, batch normalization keeps the statistics of the initial weights. With `square`, it takes squares,
    into which images of any shape are stretched.
    """

    build: Build
    image_size: int
    batch_size: int
    learning_rate: float
    images_shown: int
    heads: tuple[Head, ...] = ()
    keeps_statistics: bool = False
    square: bool = False
