"""The body of a callback, from the trainer's last report. Pure."""

from dataclasses import dataclass
from typing import Any

from vott_guard.callback_payload import CallbackBody, CallbackState, in_fold


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """What the trainer reported; None: not known yet."""

    percent: int | None = None
    """Progress of the whole training, 0 to 100."""
    epoch_current: int | None = None
    epoch_total: int | None = None
    step_current: int | None = None
    step_total: int | None = None
    fold_current: int | None = None
    fold_total: int | None = None
    classification_loss: float | None = None


def payload(job: str, state: CallbackState, message: str, report: ProgressReport | None) -> dict[str, Any]:
    """The body; `report` is the trainer's last one, None before the first."""
    report = report or ProgressReport()
    return CallbackBody(
        job=job,
        state=state,
        message=message,
        progress=1.0 if state == "succeeded" else (report.percent or 0) / 100,
        epoch_current=report.epoch_current or 0,
        epoch_total=report.epoch_total or 0,
        step_current=report.step_current or 0,
        step_total=report.step_total or 0,
        classification_loss=report.classification_loss,
    ).to_json()


def progress_payload(job: str, report: ProgressReport) -> dict[str, Any]:
    """The body while the training runs."""
    return payload(job, "running", _message(report), report)


def _message(report: ProgressReport) -> str:
    if report.epoch_current and report.epoch_total:
        text = f"Epoch {report.epoch_current} of {report.epoch_total}"
        return in_fold(text, report.fold_current or 1, report.fold_total or 1)
    return "Training"
