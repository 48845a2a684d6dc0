"""The Learner protocol: a torch plugin that provides data, model, loss, evaluation and export.

The trainer does the rest: devices and precision, several GPUs and nodes, background batch preparation, fitting batches into memory,
the learning rate schedule, checkpoints and resuming, progress, the report and the upload.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import Field

from vott_trainer.plugin_api.evaluation import Evaluation, Prediction
from vott_trainer.plugin_api.parameters import DataParameters
from vott_trainer.plugin_api.run import Run

if TYPE_CHECKING:  # plugins that need no torch import this package, too
    import torch
    from torch import Tensor, nn


class LearningParameters(DataParameters):
    """Parameters of every learner."""

    epochs: int | None = Field(default=20, ge=1, le=10_000, description="Passes over the training images.")
    batch_size: int | None = Field(
        default=8, ge=1, le=4096, description="Images per step over all GPUs, rounded up to a multiple of their number."
    )
    learning_rate: float | None = Field(default=1e-3, gt=0, le=1, description="The peak learning rate.")
    holdout_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the images held out to measure the model."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed and data give the same model.")
    initial_weights: str | None = Field(
        default=None,
        description="What training starts from: `baked` (the image's weights for the architecture), `none` (random weights), or"
        " the URL of an earlier model of this trainer (model.tgz or model.safetensors). Default: baked if the image has some, else none.",
    )
    early_stopping: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Stop after this many evaluations without improvement and deliver the best model instead of the last. Evaluates"
        " after each epoch, or 50 times if there are more than 50 epochs. Default: never.",
    )
    ema_decay: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="Decay of the moving average of the weights, which becomes the model; 0 delivers the last weights.",
    )
    gradient_accumulation_steps: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Split each batch into this many parts to save memory. Doubled automatically when a GPU runs out of memory.",
    )

    def resolved(self, _items: int, _device: torch.device) -> Self:
        """Return a copy without None, chosen for the number of images and the device.

        Called again with the number of items that `data` returns, to choose the epochs: an image may have several boxes.
        """
        return self


class Item(Protocol):
    """A decoded training or held-out item."""

    @property
    def name(self) -> str:
        """The item in messages, without a URL's query."""


@dataclass(frozen=True)
class Data:
    """Training and held-out items, as torch's map-style datasets: an item is decoded on access, by any thread.

    `counts` goes into the report.
    """

    training: Sequence[Any]
    held_out: Sequence[Any]
    labels: list[str]
    counts: dict[str, Any] = field(default_factory=dict)


Batch = Any
"""Tensors in lists, tuples, dicts or dataclasses, as `loss` takes them. Made on the CPU; the trainer moves them to the device."""


class Learner(Protocol):
    """A plugin that learns with torch. Instantiated without arguments, once per process; each GPU has its own process."""

    @property
    def parameters(self) -> type[LearningParameters]:
        """The class of the parameters that a message may set."""

    def data(self, run: Run, parameters: Any) -> Data:
        """Split `run.dataset()` into training and held-out items, identically on every rank."""

    def model(self, data: Any, parameters: Any) -> nn.Module:
        """Build the network on the CPU, with its initial weights; torch is seeded."""

    def batch(self, items: Sequence[Any], rngs: Sequence[random.Random]) -> Batch:
        """Build one batch, augmenting each item with its own random numbers; called in a background thread."""

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Compute the losses: scalars, whose sum is minimized. The one named `classification` is also reported separately."""

    def evaluate(self, model: nn.Module, data: Any, device: torch.device) -> Evaluation:
        """Measure the model on the held-out items; called on rank 0 only."""

    def export(self, model: nn.Module, data: Any, parameters: Any, folder: Path) -> dict[str, Any]:
        """Write the model's files; return what `predict` needs to load them, for `config.json`."""

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return all predictions for an image, best first, whatever their scores; `model_dir` holds the unpacked archive."""
