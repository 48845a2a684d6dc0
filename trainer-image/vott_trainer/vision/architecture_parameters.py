"""Parameters of plugins that train one of several architectures, with defaults that follow from the images and the device."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from pydantic import Field, PrivateAttr

from vott_trainer.learning import initial_weights
from vott_trainer.learning.initial_weights import Weights
from vott_trainer.plugin_api import Dataset, LearningParameters, Run
from vott_trainer.vision.architectures import Architecture

MAX_EPOCHS = 200  # by default
PATIENCE = 10  # evaluations
MINUTES_ON_CPU, IMAGES_ON_CPU = 14.0, 500  # the budget, and for how many images; more images get more
MINUTES_ON_GPU, IMAGES_ON_GPU = 60.0, 2000
SMALL_GPU_BYTES = 6 << 30
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # of turn left, arrow-left, handLeft and LEFT_HAND


class ArchitectureParameters(LearningParameters):
    """Parameters with defaults that follow the architecture, the images and the device."""

    architectures: ClassVar[Mapping[str, Architecture]]
    on_cpu: ClassVar[str]
    on_gpu: ClassVar[Sequence[str]]  # the first one with weights

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
    mirror: bool | None = Field(
        default=None,
        description="Whether to mirror half of the training images. Default: unless the name of a class contains the word left or right.",
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        le=10,
        description="Cross-validation: train this many times, each time with another part of the images held out, so that each is measured once."
        " Takes the place of holdoutFraction; the last model is delivered. Default: off.",
    )
    _reasons: list[str] = PrivateAttr(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Why defaults were chosen, in sentences."""
        return self._reasons

    @property
    def architecture_name(self) -> str:
        """The architecture's name; before `resolved`, that for a CPU."""
        return self.architecture or self.on_cpu

    @property
    def network(self) -> Architecture:
        """The architecture."""
        return self.architectures[self.architecture_name]

    def resolved(self, dataset: Dataset, device: torch.device) -> Self:
        """Return a copy with defaults for everything that the message omits."""
        name, why = (self.architecture, "") if self.architecture else self._architecture(device)
        default, items = self.architectures[name], max(1, self.items(dataset))
        size, why_size = (self.image_size, "") if self.image_size else self.fitting_image_size(default, dataset)
        epochs = min(MAX_EPOCHS, max(default.epochs, math.ceil(default.images_shown / items)))
        directed = directed_classes(dataset.labels)
        chosen = {
            "architecture": name,
            "epochs": self.epochs or epochs,
            "batch_size": self.batch_size or default.batch_size_on(device),
            "learning_rate": self.learning_rate or default.learning_rate,
            "image_size": size,
            "mirror": not directed if self.mirror is None else self.mirror,
            "early_stopping": PATIENCE if self.early_stopping is None else self.early_stopping,
            "budget_minutes": self.budget_minutes
            or (None if self.epochs else _budget(items, device) * (self.folds or 1)),
        }
        copy = self.model_copy(update=chosen)
        copy._reasons = [reason for reason in (why, why_size, self._about_mirroring(directed)) if reason]
        return copy

    def find_weights(self, run: Run, labels: Sequence[str]) -> Weights | None:
        """Find the initial weights of the architecture, as `initial_weights.find` does; None means random ones."""
        return initial_weights.find(
            run,
            self.initial_weights,
            self.architecture_name,
            labels,
            known=self.architectures,
            packaged=self.network.packaged,
            is_large=self.network.is_large,
        )

    def items(self, dataset: Dataset) -> int:
        """Return the number of images, or whatever is learned from."""
        return len(dataset.images)

    def fitting_image_size(self, architecture: Architecture, _dataset: Dataset) -> tuple[int, str]:
        """Return the image size for these images, and why."""
        return architecture.image_size, ""

    def _architecture(self, device: torch.device) -> tuple[str, str]:
        """Return the default architecture, and why if it is not the usual one."""
        if device.type != "cuda":
            return self.on_cpu, ""
        if torch.cuda.get_device_properties(device).total_memory < SMALL_GPU_BYTES:
            return self.on_cpu, f"{self.on_cpu} was chosen because the GPU's memory is small."
        for name in self.on_gpu:
            if self.initial_weights not in (None, initial_weights.BAKED) or initial_weights.is_baked(name):
                return name, ""
        missing = " and ".join(self.on_gpu)
        return self.on_cpu, (
            f"{self.on_cpu} was chosen because the trainer image has no weights for {missing}, which learn little without. "
            "The administrator can build an image with them (docs/plugins.md)."
        )

    def _about_mirroring(self, directed: Sequence[str]) -> str:
        if directed and self.mirror is None:
            return (
                f"Training images were not mirrored, because of the class “{directed[0]}”. Set mirror to change this."
            )
        if directed and self.mirror:
            return f"Half of the training images were mirrored, so “{directed[0]}” can't be told from its mirror image. Set mirror to false."
        return ""


def directed_classes(labels: Sequence[str]) -> list[str]:
    """Return the classes whose names contain the word left or right."""
    return [label for label in labels if {"left", "right"} & {word.lower() for word in WORD.findall(label)}]


def _budget(items: int, device: torch.device) -> float:
    if device.type == "cuda":
        return MINUTES_ON_GPU * max(1.0, items / IMAGES_ON_GPU)
    return MINUTES_ON_CPU * max(1.0, items / IMAGES_ON_CPU)
