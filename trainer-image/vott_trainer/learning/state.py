"""All that a training is between two steps, in one object that can be written down and read again.

Random numbers need no place in it: those of each step follow from seed, rank and the number of the step.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from vott_trainer.learning import group, schedule
from vott_trainer.learning.device import precision
from vott_trainer.learning.history import History, Means

WEIGHT_DECAY = 0.01
Saved = dict[str, Any]


class Average:
    """The moving average of a model's weights and of its statistics, quick to follow at first.

    torch's AveragedModel looks at its count on the GPU, and so waits for it in each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self._decay, self._count = decay, 0

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Take in the weights as they are now."""
        share = 1 - min(self._decay, (1 + self._count) / (10 + self._count)) if self._count else 1.0
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), share)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            if buffer.is_floating_point():  # statistics belong to the weights that they were made with
                average.lerp_(buffer, share)
            else:
                average.copy_(buffer)
        self._count += 1

    def captured(self) -> Saved:
        """Return what `restore` takes."""
        return {"model": self.model.state_dict(), "count": self._count}

    def restore(self, saved: Saved) -> None:
        """Become what was captured."""
        self.model.load_state_dict(saved["model"])
        self._count = saved["count"]


class State:
    """Model, optimizer, schedule, averages, and how far all of it has come: `step` steps of `epoch` (from 1) are done."""

    def __init__(self, model: nn.Module, *, learning_rate: float, steps: int, ema_decay: float) -> None:
        device = next(model.parameters()).device
        self.model = model
        self.optimizer = AdamW(model.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
        self.schedule: LambdaLR = schedule.cosine(self.optimizer, steps)
        self.scaler = torch.GradScaler(device.type, enabled=precision(device) is torch.float16)
        self.average = Average(model, ema_decay) if ema_decay and group.leads() else None
        self.epoch, self.step, self.parts = 1, 0, 1
        self.means, self.history = Means(), History()
        self.best: Saved | None = None

    @property
    def measured(self) -> nn.Module:
        """The model to measure and to export: the moving average of the weights, where there is one."""
        return self.average.model if self.average else self.model

    def captured(self) -> Saved:
        """Return a copy on the CPU, of tensors and plain values only."""
        parts = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.captured() if self.average else None,
            "epoch": self.epoch,
            "step": self.step,
            "parts": self.parts,
            "means": vars(self.means),
            "history": vars(self.history),
            "best": self.best,
        }
        return {name: _copied(part) for name, part in parts.items()}

    def restore(self, saved: Saved) -> None:
        """Become what was captured."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        if saved["scaler"]:  # empty where it was saved on a GPU that needs no scaling
            self.scaler.load_state_dict(saved["scaler"])
        if self.average:
            self.average.restore(saved["average"])
        self.epoch, self.step, self.parts, self.best = (saved[name] for name in ("epoch", "step", "parts", "best"))
        self.means, self.history = Means(**saved["means"]), History(**saved["history"])

    def keep_best(self) -> None:
        """Remember the weights as they are now."""
        self.best = _copied(self.measured.state_dict())

    def use_best(self) -> None:
        """Go back to the weights that were best."""
        if self.best is not None:
            self.measured.load_state_dict(self.best)


def write(saved: Saved, path: Path) -> None:
    """Write a captured state to a file; raises OSError or RuntimeError where that can't be done."""
    torch.save(saved, path)


def read(path: Path) -> Saved:
    """Return what `write` wrote; only tensors and plain values are read, never code.

    Raises:
        ValueError: it is something else.
    """
    try:
        saved: Saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes of the reader
        raise ValueError(f"no saved training ({type(error).__name__})") from error
    return saved


def _copied(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.detach().cpu().clone()
    if isinstance(part, dict):
        return {key: _copied(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_copied(value) for value in part]
    return part
