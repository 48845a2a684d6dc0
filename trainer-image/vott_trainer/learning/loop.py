"""The training loop: forward, backward, step; what is due between two steps; and what is due after an epoch."""

import contextlib
import functools
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vott_trainer.errors import InterruptedTrainingError, NonFiniteLossError
from vott_trainer.learning import device as devices
from vott_trainer.learning import group
from vott_trainer.learning.batches import Batches, Step, moved
from vott_trainer.learning.device import autocast
from vott_trainer.learning.state import State
from vott_trainer.plugin_api import Batch, Evaluation, Learner, Run
from vott_trainer.plugin_api.metrics import plain_metrics

log = logging.getLogger(__name__)

LARGEST_GRADIENT = 10.0  # norm
EVALUATIONS = 8  # at most so many in a training
EVALUATIONS_TO_STOP_EARLY = 50
NAMED = 10  # images of a step, in an error

Settle = Callable[[], bool]
Between = Callable[[State, Settle], None]


@dataclass(frozen=True)
class Course:
    """How long to learn, from which seed, and after how many evaluations without improvement to stop (0: never)."""

    epochs: int
    seed: int
    patience: int = 0


@dataclass(frozen=True)
class _Told:
    """Of one step, still on the device: total loss, its classification part, norm of the gradients; and what to say of them."""

    losses: Tensor
    names: list[str]
    where: str


@dataclass(frozen=True)
class _NotFinite:
    """What became infinite or not a number in this process, in which step, and with which images."""

    what: Literal["loss", "gradient"]
    value: float
    where: str
    names: list[str]


class Loop:
    """Trains `state.model` in place.

    Where torch.distributed is initialized, all processes train one model together: each with its own share of the items, and with
    equally many steps. Rank 0 alone evaluates; losses are those of the process' own share.

    Args:
        evaluate: measures a model on the held-out items.
        between: called before each step, with a state that may be saved if the second argument returns True.
    """

    def __init__(
        self,
        plugin: Learner,
        state: State,
        batches: Batches,
        course: Course,
        run: Run,
        evaluate: Callable[[nn.Module], Evaluation],
        between: Between = lambda _state, _settle: None,
    ) -> None:
        self._plugin, self._state, self._batches, self._course, self._run = plugin, state, batches, course, run
        self._evaluate, self._between = evaluate, between
        self._device = next(state.model.parameters()).device
        self._model = group.wrapped(state.model)
        self._told: _Told | None = None
        self._bad: _NotFinite | None = None
        self.evaluation: Evaluation | None = None

    def run(self) -> None:
        """Train to the end.

        Raises:
            NonFiniteLossError: names the step and its images.
            InterruptedTrainingError: SIGTERM has come; the state is between two steps, on every rank.
        """
        state, course = self._state, self._course
        self._run.progress.begin(course.epochs, len(self._batches))
        enough = self._is_enough()  # an earlier attempt may have found that already
        while state.epoch <= course.epochs and not enough:
            state.model.train()
            self._epoch()
            enough = self._end_epoch()

    def choose(self) -> None:
        """After `run`: take the best model where early stopping is wanted, else leave the last one."""
        state = self._state
        if self._course.patience and state.history.best_epoch != state.epoch - 1:
            state.use_best()
            self.evaluation = None

    def _epoch(self) -> None:
        clock = time.monotonic()
        for step in self._batches.epoch(self._state.epoch, self._state.step):
            waited = time.monotonic()
            self._state.history.spent("waitingForImages", waited - clock)
            self._check_together()
            self._between(self._state, self._look_at_losses)
            self._step(step)
            self._state.means.seconds += time.monotonic() - clock
            clock = time.monotonic()
            self._tell()
        self._settle_together()

    def _check_together(self) -> None:
        """Stop where any process was asked to, or has found that it must: all of them before the same step."""
        requested, bad = group.anywhere(self._run.interruption.requested, self._bad is not None)
        if bad:
            raise _error_of_all(self._bad)
        if requested:
            self._settle_together()
            raise InterruptedTrainingError

    def _settle_together(self) -> None:
        """Look at the last step's losses, in all processes."""
        self._look_at_losses()
        (bad,) = group.anywhere(self._bad is not None)
        if bad:
            raise _error_of_all(self._bad)

    def _seed(self) -> None:
        """Begin each step with random numbers of its own, so that a training that goes on from there has the same ones."""
        state = self._state
        text = f"{self._course.seed}/{self._run.ranks.rank}/{state.epoch}/{state.step}"
        torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1)

    def _step(self, step: Step) -> None:
        state = self._state
        losses = self._forward_backward(step)
        state.scaler.unscale_(state.optimizer)
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), LARGEST_GRADIENT)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.schedule.step()
        if state.average:
            state.average.follow(state.model)
        state.step += 1
        self._look_at_losses()  # of the step before: this one may still be on its way through the GPU
        where = f"epoch {state.epoch}, step {state.step}"
        self._told = _Told(torch.cat((losses, norm.detach().float().reshape(1))), step.names, where)
        if self._device.type == "cpu":
            self._look_at_losses()

    def _forward_backward(self, step: Step) -> Tensor:
        """Leave the gradients of the whole step; return its total loss and the classification part of it, [2]."""
        while True:
            self._seed()
            self._state.optimizer.zero_grad(set_to_none=True)
            try:
                return functools.reduce(torch.add, self._parts(step))
            except torch.OutOfMemoryError:
                if group.size() > 1 or not self._divide(step):
                    raise
            torch.cuda.empty_cache()  # not where the error is handled: it still holds the memory
            step = self._batches.divided(step)

    def _parts(self, step: Step) -> Iterator[Tensor]:
        last = len(step.parts) - 1
        for number, (batch, size) in enumerate(step.parts):
            with contextlib.nullcontext() if number == last else group.without_sync(self._model):
                yield self._part(self._model, batch, size / len(step.items))

    def _part(self, model: nn.Module, batch: Batch, weight: float) -> Tensor:
        with autocast(self._device):
            losses = self._plugin.loss(model, moved(batch, self._device))
        total = torch.stack(list(losses.values())).sum()
        self._state.scaler.scale(total * weight).backward()  # type: ignore[no-untyped-call]
        return torch.stack((total, losses.get("classification", total))).detach().float() * weight

    def _divide(self, step: Step) -> bool:
        """Let steps go through the network in twice as many parts as this one; return False where that is not possible."""
        if len(step.parts) == len(step.items):
            return False
        if step.wanted_parts == self._batches.parts:  # else it was made before the number was raised
            self._batches.parts = self._state.parts = 2 * self._batches.parts
            log.warning("too little GPU memory: each step now goes through it in %d parts", self._batches.parts)
        return True

    def fit_memory(self) -> None:
        """Find in how many parts a step fits the memory of every GPU; alone, that shows as the training goes.

        Several processes can't find out in the middle of a step, when the others already wait for its gradients.

        Raises:
            torch.OutOfMemoryError: the memory of one of them holds no single item.
        """
        state, step = self._state, self._batches.largest()
        buffers = {name: buffer.clone() for name, buffer in state.model.named_buffers()}
        wrapped, self._model = self._model, state.model
        (too_little,) = group.anywhere(not self._divided_to_fit(step))
        self._model = wrapped
        self._batches.parts = state.parts = group.most(self._batches.parts)
        state.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()  # of what was to spare: not all that needs memory takes it from torch
        for name, buffer in state.model.named_buffers():
            buffer.copy_(buffers[name])
        if too_little:
            raise torch.OutOfMemoryError("not a single item")

    def _divided_to_fit(self, step: Step) -> bool:
        """Divide the step until it fits and leaves memory to spare, as long as it can be divided; return whether it fits."""
        while not self._fits(step, spare=True):
            if not self._divide(step):
                return self._fits(step, spare=False)
            step = self._batches.divided(step)
        return True

    def _fits(self, step: Step, *, spare: bool) -> bool:
        self._state.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        try:
            held = [self._averages_to_be(), devices.ballast(self._device) if spare else None]
            for _ in self._parts(step):
                pass
        except torch.OutOfMemoryError:
            return False
        del held
        return True

    def _averages_to_be(self) -> list[Tensor]:
        """Return what takes as much memory as the optimizer will from the first step on; a resumed one has it already."""
        if self._state.optimizer.state:
            return []
        return [torch.empty_like(weight) for weight in self._state.model.parameters() for _ in range(2)]

    def _look_at_losses(self) -> bool:
        """Return whether the last step's losses are finite; with several processes none may fail for itself alone.

        Raises:
            NonFiniteLossError: they are not, and this process is the only one.
        """
        if self._told is None or self._bad:
            return not self._bad
        told, self._told = self._told, None
        total, classification, norm = told.losses.tolist()
        if not math.isfinite(total):
            self._bad = _NotFinite("loss", total, told.where, told.names)
        elif not math.isfinite(norm) and not self._state.scaler.is_enabled():  # which leaves such steps out
            self._bad = _NotFinite("gradient", norm, told.where, told.names)
        else:
            self._state.means.add(total, classification, len(told.names))
        if self._bad and group.size() == 1:
            raise _error([self._bad])
        return not self._bad

    def _tell(self) -> None:
        state, means = self._state, self._state.means
        self._run.progress.step(
            state.epoch,
            state.step,
            classification_loss=means.classification if means.images else None,
            images_per_second=self._rate(),
        )

    def _rate(self) -> float:
        return group.size() * self._state.means.rate

    def _end_epoch(self) -> bool:
        """Measure where that is due, and begin the next epoch; return whether the training need not go on."""
        state, means = self._state, self._state.means
        row: dict[str, float] = {
            "epoch": state.epoch,
            "loss": means.loss,
            "classificationLoss": means.classification,
            "imagesPerSecond": self._rate(),
            "learningRate": float(state.schedule.get_last_lr()[0]),
        }
        measured = self._measured() if self._is_due() and group.leads() else {}
        interrupted, enough = group.anywhere(measured is None, self._is_enough())
        if measured is None or interrupted:
            raise InterruptedTrainingError
        row |= measured
        state.history.epochs.append(row)
        state.history.spent("training", means.seconds)
        state.epoch, state.step, state.means = state.epoch + 1, 0, type(means)()
        self._run.progress.epoch_end(state.history.metrics)
        _log(row, self._course.epochs, state.history.metrics)
        return enough

    def _is_due(self) -> bool:
        epochs = self._course.epochs
        most = EVALUATIONS_TO_STOP_EARLY if self._course.patience else EVALUATIONS
        return self._state.epoch == epochs or self._state.epoch % math.ceil(epochs / most) == 0

    def _is_enough(self) -> bool:
        return 0 < self._course.patience <= self._state.history.without_improvement

    def _measured(self) -> dict[str, float] | None:
        """Return the metrics of the model as it is now, None if SIGTERM comes meanwhile."""
        state, start = self._state, time.monotonic()
        hook = state.measured.register_forward_pre_hook(lambda *_: self._run.interruption.check())
        try:
            self.evaluation = self._evaluate(state.measured)
        except InterruptedTrainingError:
            return None
        finally:
            hook.remove()
        state.history.spent("evaluation", time.monotonic() - start)
        metrics = plain_metrics(self.evaluation.metrics)
        if state.history.measured(metrics, state.epoch) and self._course.patience:
            state.keep_best()
        return metrics


def _error_of_all(bad: _NotFinite | None) -> NonFiniteLossError:
    """Return the same error in all processes; each says what it has found."""
    found = group.all_of([bad] if bad else [], list[_NotFinite])
    return _error([one for of_rank in found for one in of_rank])


def _error(bad: Sequence[_NotFinite]) -> NonFiniteLossError:
    """Blame the processes whose own loss it is: the gradient becomes the same in all of them, whoever spoils it."""
    guilty = [one for one in bad if one.what == "loss"] or bad
    images = [name for one in guilty for name in one.names]
    more = len(images) - NAMED
    names = ", ".join(images[:NAMED]) + (f" and {more} others" if more > 0 else "")
    return NonFiniteLossError(
        f"The {guilty[0].what} became {guilty[0].value} at {guilty[0].where}, images {names}. "
        "Check these images and their boxes, or lower learningRate, and send the message again."
    )


def _log(row: dict[str, float], epochs: int, metrics: dict[str, float]) -> None:
    measured = "".join(f", {name} {row[name]:.3f}" for name in metrics if name in row)
    log.info(
        "epoch %d/%d: loss %.3f, classification %.3f, %.1f images/s%s",
        row["epoch"], epochs, row["loss"], row["classificationLoss"], row["imagesPerSecond"], measured,
    )  # fmt: skip
