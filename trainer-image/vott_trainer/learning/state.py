"""All that a training is between two steps, in one object that can be written down and read again.

Random numbers need no place in it: those of each step follow from seed, rank and the number of the step.
"""

import copy
import math
import zipfile
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from vott_trainer.annotations.values import is_single_line
from vott_trainer.learning import group, schedule
from vott_trainer.learning.device import precision
from vott_trainer.learning.history import History, Means

WEIGHT_DECAY = 0.01
MOST_NOTES, LONGEST_NOTE = 10_000, 1000
Saved = dict[str, Any]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=1 << 31)]


def _line(text: str) -> str:
    if not is_single_line(text):
        raise ValueError("expected one line of text")
    return text


_Note = Annotated[str, StringConstraints(max_length=LONGEST_NOTE), AfterValidator(_line)]


class _Means(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    images: _Count
    loss_sum: _Number
    classification_sum: _Number
    seconds: _Number


class _History(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    epochs: list[dict[str, int | _Number]]
    metrics: dict[str, _Number]
    best: _Number | None
    best_epoch: _Count
    without_improvement: _Count
    notes: Annotated[list[_Note], Field(max_length=MOST_NOTES)]
    seconds: dict[str, _Number]


class _Course(BaseModel):
    """What a checkpoint says of how far it has come; who may write to its place may have written anything."""

    model_config = ConfigDict(strict=True)
    epoch: Annotated[_Count, Field(ge=1)]
    step: _Count
    parts: Annotated[_Count, Field(ge=1)]
    means: _Means
    history: _History


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
        """Become what was captured.

        Raises:
            ValueError: it was not captured from such a training, or not by this program; this state is as it was.
        """
        course = _course(saved)
        self._check(saved)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        if saved.get("scaler"):  # empty where it was saved on a GPU that needs no scaling
            self.scaler.load_state_dict(saved["scaler"])
        if self.average:
            self.average.restore(saved["average"])
        self.epoch, self.step, self.parts, self.best = course.epoch, course.step, course.parts, saved.get("best")
        self.means, self.history = Means(**dict(course.means)), History(**dict(course.history))

    def _check(self, saved: Saved) -> None:
        """Raise ValueError where a part is of another form than this state's own: that would show in the midst of the training only."""
        _check_alike(saved.get("model"), self.model.state_dict(), "model")
        _check_optimizer(saved.get("optimizer"), self.optimizer)
        _check_alike(saved.get("schedule"), self.schedule.state_dict(), "schedule")
        if saved.get("scaler") != {} and self.scaler.is_enabled():
            _check_alike(saved.get("scaler"), self.scaler.state_dict(), "scaler")
        if self.average:
            _check_alike(saved.get("average"), self.average.captured(), "average")
        if saved.get("best") is not None:
            _check_alike(saved["best"], self.measured.state_dict(), "best")

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
        _check_file(path)
        saved: Saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes of the reader
        raise ValueError(f"no saved training ({type(error).__name__})") from error
    if not isinstance(saved, dict):
        raise ValueError("no saved training (nothing with names)")
    return saved


def _check_file(path: Path) -> None:
    """Raise ValueError where the file would become larger when it is read: `write` compresses nothing, and writes nothing twice."""
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("compressed")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("larger within than without")


def _course(saved: Saved) -> _Course:
    try:
        course = _Course.model_validate(saved)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"][:2]))  # what lies deeper has names of others' choice
        raise ValueError(f"{where}: {first['msg'][:200]}") from error
    rows = course.history.epochs
    if len(rows) != course.epoch - 1 or any(row.get("epoch") != number for number, row in enumerate(rows, 1)):
        raise ValueError("history.epochs: expected a row for each epoch that is done")
    return course


def _check_optimizer(saved: Any, optimizer: AdamW) -> None:
    """Raise ValueError where its groups are others, or the averages of a parameter have another shape than that."""
    own = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not isinstance(saved, dict) or saved.keys() != own.keys() or not isinstance(saved["state"], dict):
        raise ValueError("optimizer: no state of AdamW")
    _check_alike(saved["param_groups"], own["param_groups"], "optimizer")
    if not saved["state"].keys() <= set(range(len(parameters))):
        raise ValueError("optimizer: other parameters")
    for number, state in saved["state"].items():
        weight = parameters[number].detach()
        _check_alike(state, {"step": torch.zeros(()), "exp_avg": weight, "exp_avg_sq": weight}, f"optimizer.{number}")


def _check_alike(saved: Any, own: Any, where: str) -> None:
    """Raise ValueError where something is of another type, shape or length than our own, or not finite where that is.

    Goes along what is our own: what was saved may be nested without end.
    """
    if isinstance(own, Tensor):
        alike = isinstance(saved, Tensor) and _form(saved) == _form(own) and (_finite(saved) or not _finite(own))
    elif isinstance(own, dict):
        alike = isinstance(saved, dict) and saved.keys() == own.keys()
    elif isinstance(own, list | tuple):
        alike = isinstance(saved, list | tuple) and len(saved) == len(own)
    elif isinstance(own, float):
        alike = isinstance(saved, int | float) and math.isfinite(saved)
    else:
        alike = type(saved) is type(own)
    if not alike:
        raise ValueError(f"{where} is not of this network")
    if isinstance(own, dict):
        for key, value in own.items():
            _check_alike(saved[key], value, f"{where}.{key}")
    elif isinstance(own, list | tuple):
        for number, value in enumerate(own):
            _check_alike(saved[number], value, f"{where}.{number}")


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.layout, tensor.is_meta


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _copied(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.detach().cpu().clone()
    if isinstance(part, dict):
        return {key: _copied(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_copied(value) for value in part]
    return part
