"""Cross-validation: a training for each fold, and measurements of the held-out items of all folds together (ADR 17)."""

import functools
import inspect
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from vott_trainer.errors import InterruptedTrainingError, InvalidParametersError
from vott_trainer.learning import distributed, evaluation
from vott_trainer.learning.history import FinishedFold
from vott_trainer.learning.shared_evaluation import shared_evaluation
from vott_trainer.learning.state import TrainingState
from vott_trainer.plugin_api import (
    CrossValidated,
    Data,
    Evaluation,
    Fold,
    FoldMetrics,
    Learner,
    LearningParameters,
    Run,
)
from vott_trainer.plugin_api.metrics import plain_metrics
from vott_trainer.process.peer_messages import decode, encode


@dataclass(frozen=True)
class _Measured:
    """What a finished fold contributes to the measurements."""

    held_out: Sequence[Any]
    outputs: list[Any]
    metrics: FoldMetrics


class Folds:
    """The folds of a training: a single one, unless its parameters have `folds`.

    Raises:
        InvalidParametersError: they have, but the plugin does not support it.
    """

    def __init__(self, plugin: Learner, run: Run, parameters: LearningParameters) -> None:
        self._learner, self._run, self._parameters = plugin, run, parameters
        self.total: int = getattr(parameters, "folds", None) or 1
        self._measured: list[_Measured] = []
        if self.total > 1 and not (shared_evaluation(plugin) and "fold" in inspect.signature(plugin.data).parameters):
            raise InvalidParametersError(
                "This plugin does not support cross-validation: leave out the parameter folds."
            )

    def current(self, state: TrainingState) -> Fold:
        """Return the fold that a state belongs to."""
        return Fold(len(state.finished) + 1, self.total)

    @property
    def minutes(self) -> float | None:
        """The time budget of a fold."""
        minutes = self._parameters.budget_minutes
        return minutes / self.total if minutes else None

    def data(self, fold: Fold) -> Data:
        """Split the items as the fold says; every process must call this."""
        if self.total == 1:
            return self._learner.data(self._run, self._parameters)
        return self._plugin.data(self._run, self._parameters, fold)

    def restore(self, state: TrainingState) -> None:
        """Take over the finished folds of a checkpoint; every process must call this.

        Raises:
            Exception: they do not fit; anyone with write access to the checkpoint may have changed them.
        """
        if len(state.finished) >= self.total:
            raise ValueError("finished: more folds than there are")
        folds = [Fold(number, self.total) for number in range(1, len(state.finished) + 1)]
        self._measured = [
            self._measure(self.data(fold), decode(finished.outputs, self._kind))
            for fold, finished in zip(folds, state.finished, strict=True)
        ]

    def finish(self, state: TrainingState, data: Data, device: torch.device) -> FinishedFold:
        """Measure the final model of one of several folds on rank 0; every process must call this.

        Raises:
            InterruptedTrainingError: SIGTERM has arrived meanwhile, on every rank.
        """
        of_fold = f"Fold {len(state.finished) + 1}: " if self.total > 1 else ""
        notes, seconds = [of_fold + note for note in state.history.notes], state.history.seconds
        if self.total == 1:
            return FinishedFold("", notes, seconds)
        outputs, interrupted = None, False
        try:
            if distributed.leads():
                outputs = evaluation.interruptible(
                    state.final_model,
                    lambda model: self._plugin.outputs(model, data.held_out, device),
                    self._run.interruption,
                )
        except InterruptedTrainingError:
            interrupted = True
        if any(distributed.any_process(interrupted)):
            raise InterruptedTrainingError
        if outputs is None:
            return FinishedFold("", notes, seconds)
        self._measured.append(self._measure(data, outputs))
        return FinishedFold(encode(outputs, self._kind), notes, seconds)

    def evaluation(self, data: Data) -> Evaluation:
        """Measure the held-out items of all folds together, on rank 0; `data` is that of the last fold."""
        together = functools.reduce(operator.add, [one.held_out for one in self._measured])
        outputs = [output for one in self._measured for output in one.outputs]
        measured = self._plugin.measure(replace(data, held_out=together), outputs)
        return replace(measured, folds=[one.metrics for one in self._measured])

    def _measure(self, data: Data, outputs: list[Any]) -> _Measured:
        metrics = plain_metrics(self._plugin.measure(data, outputs).metrics)
        return _Measured(data.held_out, outputs, FoldMetrics(len(data.held_out), metrics))

    @property
    def _plugin(self) -> CrossValidated:
        return cast("CrossValidated", self._learner)

    @property
    def _kind(self) -> Any:
        kind: Any = list[self._plugin.output]  # type: ignore[name-defined] # a class at run time
        return kind
