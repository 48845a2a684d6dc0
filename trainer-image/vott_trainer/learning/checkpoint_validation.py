"""Validation of a checkpoint's content, which anyone with write access to its location may have changed.

An error must show before training resumes, not in the middle of it.
"""

import math
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from torch import Tensor
from torch.optim import AdamW

from vott_trainer.annotations.values import is_single_line

MAX_NOTES, MAX_NOTE_LENGTH = 10_000, 1000
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=1 << 31)]


def _line(text: str) -> str:
    if not is_single_line(text):
        raise ValueError("expected one line of text")
    return text


_Note = Annotated[str, StringConstraints(max_length=MAX_NOTE_LENGTH), AfterValidator(_line)]


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
    notes: Annotated[list[_Note], Field(max_length=MAX_NOTES)]
    seconds: dict[str, _Number]


class _FinishedFold(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    outputs: str
    notes: Annotated[list[_Note], Field(max_length=MAX_NOTES)]
    seconds: dict[str, _Number]


class SavedProgress(BaseModel):
    """The plain values of a checkpoint: progress and metrics."""

    model_config = ConfigDict(strict=True)
    epoch: Annotated[_Count, Field(ge=1)]
    step: _Count
    parts: Annotated[_Count, Field(ge=1)]
    means: _Means
    history: _History
    finished: list[_FinishedFold]


def progress(saved: dict[str, Any]) -> SavedProgress:
    """Return the plain values.

    Raises:
        ValueError: one is missing or invalid.
    """
    try:
        valid = SavedProgress.model_validate(saved)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"][:2]))  # deeper names are an attacker's choice
        raise ValueError(f"{where}: {first['msg'][:200]}") from error
    rows = valid.history.epochs
    if len(rows) != valid.epoch - 1 or any(row.get("epoch") != number for number, row in enumerate(rows, 1)):
        raise ValueError("history.epochs: expected a row for each completed epoch")
    return valid


def check_optimizer(saved: Any, optimizer: AdamW) -> None:
    """Check the optimizer's state against the optimizer.

    Raises:
        ValueError: its parameter groups differ, or the averages of a parameter have another shape.
    """
    own = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not isinstance(saved, dict) or saved.keys() != own.keys() or not isinstance(saved["state"], dict):
        raise ValueError("optimizer: not the state of AdamW")
    check_compatible(saved["param_groups"], own["param_groups"], "optimizer")
    if not saved["state"].keys() <= set(range(len(parameters))):
        raise ValueError("optimizer: other parameters")
    for number, state in saved["state"].items():
        weight = parameters[number].detach()
        expected = {"step": torch.zeros(()), "exp_avg": weight, "exp_avg_sq": weight}
        check_compatible(state, expected, f"optimizer.{number}")


def check_compatible(saved: Any, own: Any, where: str) -> None:
    """Check a saved part against the current one. Walks along the current structure, because a saved one may be nested without end.

    Raises:
        ValueError: a value has another type, shape or length, or is not finite although the current one is.
    """
    if isinstance(own, Tensor):
        compatible = isinstance(saved, Tensor) and _form(saved) == _form(own) and (_finite(saved) or not _finite(own))
    elif isinstance(own, dict):
        compatible = isinstance(saved, dict) and saved.keys() == own.keys()
    elif isinstance(own, list | tuple):
        compatible = isinstance(saved, list | tuple) and len(saved) == len(own)
    elif isinstance(own, float):
        compatible = isinstance(saved, int | float) and math.isfinite(saved)
    else:
        compatible = type(saved) is type(own)
    if not compatible:
        raise ValueError(f"{where} does not fit the network")
    if isinstance(own, dict):
        for key, value in own.items():
            check_compatible(saved[key], value, f"{where}.{key}")
    elif isinstance(own, list | tuple):
        for number, value in enumerate(own):
            check_compatible(saved[number], value, f"{where}.{number}")


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.layout, tensor.is_meta


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
