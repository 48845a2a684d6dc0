"""What a torch plugin tells the trainer: data, model, loss, figures and export. All else is done for it.

All else is: devices and precision, several GPUs and nodes, batches prepared in the background, a batch size that fits the memory,
the schedule, checkpoints and going on from them, progress, the report and the upload.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from vott_trainer.plugin_api.evaluation import Evaluation, Prediction
from vott_trainer.plugin_api.plugin import DataParameters, Run


class LearningParameters(DataParameters):
    """What every plugin that learns lets a message set."""

    epochs: int | None = Field(default=20, ge=1, le=10_000, description="How often each image is shown.")
    batch_size: int | None = Field(
        default=8, ge=1, le=4096, description="Images a step, over all GPUs; rounded up to a multiple of their number."
    )
    learning_rate: float | None = Field(default=1e-3, gt=0, le=1, description="The highest learning rate.")
    holdout_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the images that only measure the model."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed and data give the same model.")
    initial_weights: str | None = Field(
        default=None,
        description="What to begin with: `baked` (the weights that the image brings for the architecture), `none` (random weights), or"
        " the URL of an earlier model of this trainer (model.tgz or model.safetensors). Default: baked where there are such, else none.",
    )
    early_stopping: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Stop after so many evaluations without improvement, and take the best model instead of the last. There is one after"
        " each epoch then, with more than 50 epochs 50 in all. Default: never.",
    )
    ema_decay: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="The model is a moving average of the weights of all steps, which gives each older one this share; 0 takes the last ones.",
    )
    gradient_accumulation_steps: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="In how many parts a batch goes through the network, to save memory. Doubled by itself when a GPU's memory runs out.",
    )

    def resolved(self, _items: int, _device: torch.device) -> Self:
        """Return these parameters with every None filled in, now that the number of images and the device are known.

        The number of epochs is asked for once more with the number of items that `data` gives: of an image, these may be several boxes.
        """
        return self


class Item(Protocol):
    """One thing to learn from or to measure with, decoded; `name` is for messages, without a URL's query."""

    @property
    def name(self) -> str:
        """What messages call it."""


@dataclass(frozen=True)
class Data:
    """What there is to learn from and to measure with.

    Both are sequences as torch's map-style data sets are: an item is decoded when it is asked for, by any thread. `counts` is for
    the report.
    """

    training: Sequence[Any]
    held_out: Sequence[Any]
    labels: list[str]
    counts: dict[str, Any] = field(default_factory=dict)


Batch = Any
"""Tensors in lists, tuples, dicts or dataclasses, as `loss` wants them; made on the CPU, moved to the device by the trainer."""


class Learner(Protocol):
    """A plugin that learns with torch. Made without arguments, once in each process; with several GPUs one process trains on each."""

    @property
    def parameters(self) -> type[LearningParameters]:
        """The class of the parameters that a message may set."""

    def data(self, run: Run, parameters: Any) -> Data:
        """Return the data; the same on every rank, `run.dataset()` split."""

    def model(self, data: Any, parameters: Any) -> nn.Module:
        """Return the network on the CPU, with initial weights; torch is seeded."""

    def batch(self, items: Sequence[Any], rngs: Sequence[random.Random]) -> Batch:
        """Return one batch of training items, each varied by its own random numbers; called by a thread."""

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the losses, scalars whose sum is learned; the one called `classification` is reported as such."""

    def evaluate(self, model: nn.Module, data: Any, device: torch.device) -> Evaluation:
        """Return what the model can do, on the held-out items; only rank 0 is asked."""

    def export(self, model: nn.Module, data: Any, parameters: Any, folder: Path) -> dict[str, Any]:
        """Write the model's files; return what `predict` needs to load them, which goes into `config.json`."""

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return all that the model of an unpacked archive sees on an image, best first, doubtful ones too: the command leaves those out."""
