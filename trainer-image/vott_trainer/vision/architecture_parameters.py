"""Parameters of plugins that train one of several architectures, with defaults for each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from pydantic import Field

from vott_trainer.learning import initial_weights
from vott_trainer.plugin_api import Data, LearningParameters
from vott_trainer.vision.architectures import Architecture

MIN_EPOCHS, MAX_EPOCHS = 8, 200  # by default


class ArchitectureParameters(LearningParameters):
    """Parameters with defaults that follow the architecture and the number of images."""

    architectures: ClassVar[Mapping[str, Architecture]]
    on_cpu: ClassVar[str]
    on_gpu: ClassVar[str]

    architecture: str | None = Field(default=None, description="The network.")
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Passes over the training images (or boxes). Default: fewer, the more there are.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Images per step over all GPUs, rounded up to a multiple of their number.",
    )
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="The peak learning rate.")
    image_size: int | None = Field(default=None, ge=32, le=4096, description="Size of the images in pixels.")

    def resolved(self, items: int, device: torch.device) -> Self:
        """Return a copy with defaults for everything that the message omits."""
        name = self.architecture or (self.on_gpu if device.type == "cuda" else self.on_cpu)
        default = self.architectures[name]
        epochs = min(MAX_EPOCHS, max(MIN_EPOCHS, math.ceil(default.images_shown / max(1, items))))
        chosen = {
            "architecture": name,
            "epochs": self.epochs or epochs,
            "batch_size": self.batch_size or default.batch_size,
            "learning_rate": self.learning_rate or default.learning_rate,
            "image_size": self.image_size or default.image_size,
        }
        return self.model_copy(update=chosen)


@dataclass(frozen=True)
class InitialData(Data):
    """Data with the initial weights, None for random ones."""

    initial: initial_weights.Weights | None = None
