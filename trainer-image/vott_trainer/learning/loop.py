"""The training loop: epochs of steps, each with forward pass, backward pass and optimizer step."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import budget, distributed, early_stopping, evaluation, learning_rate, seeding
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.gradient_accumulation import backward_parts, normalize
from vott_trainer.learning.non_finite import LossCheck
from vott_trainer.learning.optimizer import clip_gradients
from vott_trainer.learning.out_of_memory import double_parts
from vott_trainer.learning.state import TrainingState
from vott_trainer.plugin_api import Evaluation, Fold, Learner, Run
from vott_trainer.plugin_api.fold import ONLY
from vott_trainer.plugin_api.metrics import plain_metrics

log = logging.getLogger(__name__)

BeforeStep = Callable[[TrainingState, Callable[[], bool]], None]


@dataclass(frozen=True)
class LoopSettings:
    """Number of epochs, seed, evaluations without improvement before stopping early (0: never), minutes at most, and fold."""

    epochs: int
    seed: int
    patience: int = 0
    minutes: float | None = None
    fold: Fold = ONLY


class Loop:
    """Trains `state.model` in place.

    With torch.distributed, all processes train one model together: each on its own share of the items, with equally many steps. Losses
    are those of the process's own share.

    Args:
        evaluate: measures a model on the held-out items; called on every rank, and returns None except on rank 0.
        before_step: called with the state, and a function that returns whether the losses so far are finite.
    """

    def __init__(
        self,
        plugin: Learner,
        state: TrainingState,
        batches: Batches,
        settings: LoopSettings,
        run: Run,
        evaluate: Callable[[nn.Module], Evaluation | None],
        before_step: BeforeStep = lambda _state, _is_valid: None,
    ) -> None:
        self._plugin, self._state, self._batches, self._settings, self._run = plugin, state, batches, settings, run
        self._evaluate, self._before_step = evaluate, before_step
        self._model = distributed.wrapped(state.model)
        self._losses = LossCheck(state)
        self._progress, self._is_cut = 0.0, False
        self.evaluation: Evaluation | None = None
        self._best_evaluation: Evaluation | None = None

    def run(self) -> None:
        """Train to the end.

        Raises:
            NonFiniteLossError: with the step and its images.
            InterruptedTrainingError: SIGTERM has arrived; the state is between two steps, on every rank.
        """
        state, settings = self._state, self._settings
        self._run.progress.begin(settings.epochs, len(self._batches), settings.fold)
        stop = early_stopping.should_stop(state.history, settings.patience)  # in an earlier attempt
        while not stop and (
            self._measured_progress() < 1 or state.step
        ):  # an interruption may leave an epoch to be evaluated
            state.model.train()
            self._epoch()
            stop = self._end_epoch()
        if settings.minutes and not stop and (self._is_cut or state.epoch <= settings.epochs):
            note = budget.note(state.epoch - 1, settings.epochs, settings.minutes)
            state.history.notes += [note] if note not in state.history.notes else []

    def choose_model(self) -> None:
        """After `run`: use the best weights with early stopping, else the last, and their evaluation; none if an earlier attempt made it."""
        if early_stopping.use_best_model(self._state, self._settings.patience):
            self.evaluation = self._best_evaluation

    def _epoch(self) -> None:
        state, start = self._state, time.monotonic()
        for step in self._batches.epoch(state.epoch, state.step):
            state.history.add_seconds("waitingForImages", time.monotonic() - start)
            self._agree()
            if self._progress >= 1:
                self._is_cut = True
                break
            self._before_step(state, self._losses.check)
            self._step(step)
            state.means.seconds += time.monotonic() - start
            start = time.monotonic()
            self._report_step()
        self._losses.check_all()

    def _agree(self) -> None:
        """Measure the progress, and stop all processes before the same step if one of them has to."""
        state, settings = self._state, self._settings
        flags = (self._run.interruption.requested, self._losses.failed)
        requested, failed, spent = distributed.maxima(*map(int, flags), budget.milliseconds(state))
        self._progress = budget.progress(state, settings.epochs, len(self._batches), settings.minutes, spent)
        if failed:
            raise self._losses.error_of_all()
        if requested:
            self._losses.check_all()
            raise InterruptedTrainingError

    def _step(self, step: Step) -> None:
        state = self._state
        sums = self._forward_backward(step)
        state.scaler.unscale_(state.optimizer)
        losses = normalize(state.model, sums, len(step.items))
        norm = clip_gradients(state.model)
        learning_rate.set_learning_rate(state.optimizer, self._progress)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        if state.ema:
            state.ema.update(state.model)
        state.step += 1
        self._losses.check()  # of the previous step: this one may still be running on the GPU
        where = f"epoch {state.epoch}, step {state.step}"
        self._losses.add(torch.cat((losses, norm.detach().float().reshape(1))), step.names, where)
        if state.device.type == "cpu":
            self._losses.check()

    def _forward_backward(self, step: Step) -> Tensor:
        """Compute the gradients of the whole step; return what `backward_parts` does."""
        state = self._state
        while True:
            seeding.seed_step(self._settings.seed, self._run.ranks.rank, state.epoch, state.step)
            state.optimizer.zero_grad(set_to_none=True)
            try:
                return backward_parts(self._plugin, self._model, state.scaler, step, state.device)
            except torch.OutOfMemoryError:
                if distributed.world_size() > 1 or not double_parts(step, self._batches, state):
                    raise
            except Exception:  # perhaps because of infinite weights, which a GPU's step before has not shown yet
                self._losses.check()
                raise
            torch.cuda.empty_cache()  # not in the handler: there the exception still holds the tensors
            step = self._batches.divided(step)

    def _report_step(self) -> None:
        state, means = self._state, self._state.means
        self._run.progress.step(
            state.epoch,
            state.step,
            classification_loss=means.classification if means.images else None,
            images_per_second=self._images_per_second(),
            fraction=self._progress,
        )

    def _measured_progress(self) -> float:
        settings = self._settings
        (spent,) = distributed.maxima(budget.milliseconds(self._state))
        self._progress = budget.progress(self._state, settings.epochs, len(self._batches), settings.minutes, spent)
        return self._progress

    def _images_per_second(self) -> float:
        return distributed.world_size() * self._state.means.images_per_second

    def _end_epoch(self) -> bool:
        """Evaluate if due and start the next epoch; return whether to stop early."""
        state, means, settings = self._state, self._state.means, self._settings
        row: dict[str, float] = {
            "epoch": state.epoch,
            "loss": means.loss,
            "classificationLoss": means.classification,
            "imagesPerSecond": self._images_per_second(),
            "learningRate": float(state.optimizer.param_groups[-1]["lr"]),
        }
        is_last = self._measured_progress() >= 1
        is_due = is_last or evaluation.is_due(state.epoch, settings.epochs, stops_early=bool(settings.patience))
        metrics = self._evaluated() if is_due else {}
        stop = early_stopping.should_stop(state.history, settings.patience)
        interrupted, stop = distributed.any_process(metrics is None, stop)
        if metrics is None or interrupted:
            raise InterruptedTrainingError
        row |= metrics
        state.history.epochs.append(row)
        state.history.add_seconds("training", means.seconds)
        state.epoch, state.step, state.means = state.epoch + 1, 0, type(means)()
        self._run.progress.epoch_end(state.history.metrics)
        _log_epoch(row, settings.epochs, state.history.metrics)
        return stop

    def _evaluated(self) -> dict[str, float] | None:
        """Return the metrics of the current model, none except on rank 0; None if SIGTERM arrives meanwhile."""
        state, start = self._state, time.monotonic()
        try:
            self.evaluation = evaluation.interruptible(state.final_model, self._evaluate, self._run.interruption)
        except InterruptedTrainingError:
            return None
        if self.evaluation is None:
            return {}
        state.history.add_seconds("evaluation", time.monotonic() - start)
        metrics = plain_metrics(self.evaluation.metrics)
        if state.history.add_evaluation(metrics, state.epoch, self.evaluation.selected) and self._settings.patience:
            state.keep_best()
            self._best_evaluation = self.evaluation
        return metrics


def _log_epoch(row: dict[str, float], epochs: int, metrics: dict[str, float]) -> None:
    measured = "".join(f", {name} {row[name]:.3f}" for name in metrics if name in row)
    log.info(
        "epoch %d/%d: loss %.3f, classification %.3f, %.1f images/s%s",
        row["epoch"], epochs, row["loss"], row["classificationLoss"], row["imagesPerSecond"], measured,
    )  # fmt: skip
