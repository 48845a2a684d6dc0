"""What the trainer reports: its status file, and the termination message of a failure (docs/trainer-contract.md)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vott_guard.termination_message import parse_termination_message
from vott_messaging.callbacks.payload import ProgressReport

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Model:
    """A model whose upload the trainer has verified; `url` carries no credential."""

    url: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The trainer's newest report; None and empty: not known yet."""

    report: ProgressReport
    message: str = ""
    """What happens now, for people."""
    images_per_second: float | None = None
    estimated_completion_time: str = ""
    metrics: Mapping[str, float]
    model: Model | None = None
    """Only after the upload is verified."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trainer failed: `reason` is one CamelCase word, `message` a sentence with cause and remedy."""

    reason: str
    message: str


def read_status(file: Path) -> Status | None:
    """Read the status file; None if there is none yet, or if it is no status."""
    try:
        return _status(json.loads(file.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def read_termination(file: Path) -> Failure | None:
    """Read the termination message; None if the trainer has written none."""
    try:
        reported = parse_termination_message(file.read_text(errors="replace"))
    except FileNotFoundError:
        return None
    return Failure(*reported) if reported else None


def _status(fields: Mapping[str, Any]) -> Status:
    progress, model = (fields.get(name) or {} for name in ("progress", "model"))
    return Status(
        report=ProgressReport(
            percent=_whole(progress, "percent"),
            epoch_current=_whole(progress, "epochCurrent"),
            epoch_total=_whole(progress, "epochTotal"),
            step_current=_whole(progress, "stepCurrent"),
            step_total=_whole(progress, "stepTotal"),
            fold_current=_whole(progress, "foldCurrent"),
            fold_total=_whole(progress, "foldTotal"),
            classification_loss=_optional(progress, "classificationLoss", float),
        ),
        message=str(fields.get("message", "")),
        images_per_second=_optional(progress, "imagesPerSecond", float),
        estimated_completion_time=str(progress.get("estimatedCompletionTime", "")),
        metrics={str(item["name"]): float(item["value"]) for item in fields.get("metrics") or []},
        model=Model(str(model["url"]), int(model["sizeBytes"])) if model else None,
    )


def _whole(fields: Mapping[str, Any], name: str) -> int | None:
    return _optional(fields, name, int)


def _optional(fields: Mapping[str, Any], name: str, kind: Callable[[Any], Number]) -> Number | None:
    value = fields.get(name)
    return None if value is None else kind(value)
