"""The Learner protocol: a torch plugin that provides data, model, loss, evaluation and export.

The trainer does the rest: devices and precision, several GPUs and nodes, background batch preparation, fitting batches into memory,
the learning rate schedule, checkpoints and resuming, progress, the report and the upload.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vott_trainer.plugin_api.evaluation import Evaluation, Prediction
from vott_trainer.plugin_api.fold import ONLY, Fold
from vott_trainer.plugin_api.parameters import LearningParameters
from vott_trainer.plugin_api.run import Run

if TYPE_CHECKING:  # plugins that need no torch import this package, too
    import torch
    from torch import Tensor, nn


class Item(Protocol):
    """A decoded training or held-out item."""

    @property
    def name(self) -> str:
        """The item in messages, without a URL's query."""


@dataclass(frozen=True)
class Data:
    """Training and held-out items, as torch's map-style datasets: an item is decoded on access, by any thread.

    Attributes:
        counts: for the report.
        pretrained: how the names of the model's pretrained parameters begin; they learn more slowly than new ones.
    """

    training: Sequence[Any]
    held_out: Sequence[Any]
    labels: list[str]
    counts: dict[str, Any] = field(default_factory=dict)
    pretrained: Sequence[str] = ()


Batch = Any
"""Tensors in lists, tuples, dicts or dataclasses, as `loss` takes them. Made on the CPU; the trainer moves them to the device."""


@dataclass(frozen=True)
class SummedLosses:
    """Losses that are not means over the items, such as sums over the locations of all objects.

    A step may consist of several batches, because its batch is divided into parts and there may be several processes. The trainer divides
    the sums of all of them by the sum of their weights, or by 1 if that is less, so that the division changes nothing.

    Attributes:
        terms: the sums over the batch: scalars.
        weight: what they are to be divided by, such as the number of these locations: a scalar on the same device.
    """

    terms: Mapping[str, Tensor]
    weight: Tensor


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

    def loss(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor] | SummedLosses:
        """Compute the losses: scalars, whose sum is minimized. The one named `classification` is also reported separately.

        A mapping has means over the items of the batch. With several processes, `loss` must not communicate with the others: while the
        trainer looks for the number of parts that fits the memory, one may run out of it.
        """

    def evaluate(self, model: nn.Module, data: Any, device: torch.device) -> Evaluation:
        """Measure the model on the held-out items; called on rank 0 only, which the others wait for. See `SharedEvaluation`."""

    def export(self, model: nn.Module, data: Any, parameters: Any, folder: Path) -> dict[str, Any]:
        """Write the model's files; return what `predict` needs to load them, for `config.json`."""

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        """Return all predictions for an image, best first, whatever their scores; `model_dir` holds the unpacked archive."""


class SharedEvaluation(Protocol):
    """What a Learner may have besides `evaluate`, so that all processes do its work: `measure(data, outputs(model, data.held_out, device))`.

    With one process, and in a subclass that replaces only `evaluate`, the trainer calls `evaluate`.
    """

    @property
    def output(self) -> type:
        """The class of an item's output: plain values in a dataclass, because it is sent as JSON."""

    def outputs(self, model: nn.Module, items: Sequence[Any], device: torch.device) -> list[Any]:
        """Compute what `measure` needs of each held-out item; called on every rank, with its share of them."""

    def measure(self, data: Any, outputs: list[Any]) -> Evaluation:
        """Measure the model from the outputs of all held-out items, in their order; called on rank 0 only."""


class CrossValidated(SharedEvaluation, Protocol):
    """A Learner whose parameters have `folds`: None, or the number of trainings, each of which holds out other items.

    `measure` also gets the outputs of all folds, with the held-out items of all: `data.held_out` must have `+`, which concatenates.
    """

    def data(self, run: Run, parameters: Any, fold: Fold = ONLY) -> Data:
        """Split `run.dataset()` as the fold says: each item is held out in one of them. Called for each fold."""
