"""The complete state of a training between two steps, as a checkpoint holds it.

Random number generators are not part of it: their seeds follow from the step (`seeding`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from vott_trainer.learning import checkpoint_validation, optimizer
from vott_trainer.learning.ema import ExponentialMovingAverage
from vott_trainer.learning.history import FinishedFold, History, RunningMeans
from vott_trainer.learning.mixed_precision import grad_scaler


class TrainingState:
    """Model, optimizer, moving average, metrics, and progress: `step` steps of `epoch` (from 1) are completed.

    Args:
        pretrained: how the names of pretrained parameters begin.
        finished: the folds of a cross-validation before this training.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        peak_learning_rate: float,
        ema_decay: float,
        pretrained: Sequence[str] = (),
        finished: Sequence[FinishedFold] = (),
    ) -> None:
        self.device = next(model.parameters()).device
        self.model = model
        self.optimizer = optimizer.adamw(model, peak_learning_rate, pretrained)
        self.scaler = grad_scaler(self.device)
        self.ema = ExponentialMovingAverage(model, ema_decay) if ema_decay else None  # all processes evaluate it
        self.epoch, self.step, self.parts = 1, 0, 1
        self.means, self.history = RunningMeans(), History()
        self.best: dict[str, Any] | None = None
        self.finished = [*finished]

    @property
    def final_model(self) -> nn.Module:
        """The model to evaluate and to export: the moving average, if there is one."""
        return self.ema.model if self.ema else self.model

    def state_dict(self) -> dict[str, Any]:
        """Return a copy on the CPU, of tensors and plain values only."""
        parts = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.ema.state_dict() if self.ema else None,
            "epoch": self.epoch,
            "step": self.step,
            "parts": self.parts,
            "means": vars(self.means),
            "history": vars(self.history),
            "best": self.best,
            "finished": [asdict(fold) for fold in self.finished],
        }
        return {name: _copied(part) for name, part in parts.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore a state.

        Raises:
            ValueError: it is not of such a training; this state is unchanged.
        """
        progress = checkpoint_validation.progress(saved)
        self._check(saved)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if saved.get("scaler"):  # empty if saved on a GPU without loss scaling
            self.scaler.load_state_dict(saved["scaler"])
        if self.ema:
            self.ema.load_state_dict(saved["average"])
        self.epoch, self.step, self.parts, self.best = progress.epoch, progress.step, progress.parts, saved.get("best")
        self.means, self.history = RunningMeans(**dict(progress.means)), History(**dict(progress.history))
        self.finished = [FinishedFold(**dict(fold)) for fold in progress.finished]

    def _check(self, saved: dict[str, Any]) -> None:
        check = checkpoint_validation.check_compatible
        check(saved.get("model"), self.model.state_dict(), "model")
        checkpoint_validation.check_optimizer(saved.get("optimizer"), self.optimizer)
        if saved.get("scaler") != {} and self.scaler.is_enabled():
            check(saved.get("scaler"), self.scaler.state_dict(), "scaler")
        if self.ema:
            check(saved.get("average"), self.ema.state_dict(), "average")
        if saved.get("best") is not None:
            check(saved["best"], self.final_model.state_dict(), "best")

    def keep_best(self) -> None:
        """Remember the current weights."""
        self.best = _copied(self.final_model.state_dict())

    def use_best(self) -> None:
        """Go back to the best weights."""
        if self.best is not None:
            self.final_model.load_state_dict(self.best)


def _copied(part: Any) -> Any:
    if isinstance(part, torch.Tensor):
        return part.detach().to("cpu", copy=True)
    if isinstance(part, dict):
        return {key: _copied(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_copied(value) for value in part]
    return part
