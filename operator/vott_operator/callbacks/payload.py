"""The body of a callback, from the TrainingJob's progress. Pure."""

from typing import Any

from vott_guard.callback_payload import CallbackBody, CallbackState
from vott_operator.api.status import Progress


def payload(job: str, state: CallbackState, message: str, progress: Progress | None) -> dict[str, Any]:
    """The body; `progress` is the trainer's last report, None before the first."""
    report = progress or Progress()
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
