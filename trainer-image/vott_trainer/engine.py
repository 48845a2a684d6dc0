"""The training loop: AdamW, one learning-rate cycle, bfloat16 where the GPU has it."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from vott_trainer.errors import NonFiniteLossError
from vott_trainer.progress import Progress
from vott_trainer.vision.samples import Batch, Batches

log = logging.getLogger(__name__)

WARM_UP = 0.15  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 10.0  # norm
EVALUATIONS = 8  # at most so many in a training

Metrics = dict[str, float]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn; `classification` names the losses that are reported as classification loss."""

    epochs: int
    learning_rate: float
    classification: Sequence[str]


@dataclass
class History:
    """What each epoch brought, and the metrics after the last one; times in seconds."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    metrics: Metrics = field(default_factory=dict)
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0


def fit(
    model: nn.Module, batches: Batches, schedule: Schedule, evaluate: Callable[[], Metrics], progress: Progress
) -> History:
    """Train `model` in place.

    Where torch.distributed is initialized, all processes train one model together: each calls this with its own share of the
    samples, and with equally many batches. Rank 0 alone evaluates; losses are those of the process' own share.

    Raises:
        NonFiniteLossError: names the step and its images.
    """
    learner = _learner(model)
    optimizer = AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=WEIGHT_DECAY)
    cycle = OneCycleLR(optimizer, schedule.learning_rate, total_steps=schedule.epochs * len(batches), pct_start=WARM_UP)
    history = History()
    progress.begin(schedule.epochs, len(batches))
    for epoch in range(1, schedule.epochs + 1):
        means = _Means()
        model.train()
        for step, batch in enumerate(batches.epoch(epoch), start=1):
            loss, classification = _losses(learner, batch, schedule.classification)
            means.add(loss, classification, batch, where=f"epoch {epoch}, step {step}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            cycle.step()
            progress.step(epoch, step, classification_loss=means.classification, images_per_second=means.rate)
        history.training_seconds += means.seconds
        _end_epoch(history, epoch, schedule, means, evaluate)
        progress.epoch_end(history.metrics)
    return history


def _learner(model: nn.Module) -> nn.Module:
    """Return what to call in training: the model itself, or what also averages the gradients of all processes."""
    if not distributed.is_initialized():
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def anywhere(here: bool) -> bool:
    """Return whether it is so in any of the processes that train together; all must ask."""
    if not distributed.is_initialized():
        return here
    told = torch.tensor(int(here))
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return bool(told)


def autocast(device: torch.device) -> torch.autocast:
    """Return the precision to compute in: bfloat16 on GPUs that have it in hardware, else float32."""
    enabled = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _losses(model: nn.Module, batch: Batch, classification: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the total loss and its classification part, both scalars."""
    with autocast(batch.images[0].device):
        losses: dict[str, Tensor] = model(batch.images, batch.targets)
    return torch.stack(list(losses.values())).sum(), torch.stack(
        [losses[n] for n in classification if n in losses]
    ).sum()


class _Means:
    """Running means of one epoch."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._processes = distributed.get_world_size() if distributed.is_initialized() else 1
        self._images = 0
        self._loss = self._classification = 0.0

    def add(self, loss: Tensor, classification: Tensor, batch: Batch, where: str) -> None:
        total, part = torch.stack((loss, classification)).tolist()  # one wait for the GPU, not two
        if not math.isfinite(total):
            raise NonFiniteLossError(
                f"The loss became {total} at {where}, images {', '.join(batch.names)}. "
                "Check these images and their boxes, or lower learningRate, and send the message again."
            )
        self._images += len(batch.images)
        self._loss += total * len(batch.images)
        self._classification += part * len(batch.images)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def loss(self) -> float:
        return self._loss / self._images

    @property
    def classification(self) -> float:
        return self._classification / self._images

    @property
    def rate(self) -> float:
        return self._processes * self._images / self.seconds


def _end_epoch(
    history: History, epoch: int, schedule: Schedule, means: _Means, evaluate: Callable[[], Metrics]
) -> None:
    row = {
        "epoch": epoch,
        "loss": means.loss,
        "classificationLoss": means.classification,
        "imagesPerSecond": means.rate,
    }
    start = time.monotonic()
    due = epoch == schedule.epochs or epoch % math.ceil(schedule.epochs / EVALUATIONS) == 0
    if due and not (distributed.is_initialized() and distributed.get_rank()):
        history.metrics = evaluate()
        row |= history.metrics
    history.evaluation_seconds += time.monotonic() - start
    history.epochs.append(row)
    measured = "".join(f", {name} {row[name]:.3f}" for name in history.metrics if name in row)
    log.info(
        "epoch %d/%d: loss %.3f, classification %.3f, %.1f images/s%s",
        epoch, schedule.epochs, row["loss"], row["classificationLoss"], row["imagesPerSecond"], measured,
    )  # fmt: skip
