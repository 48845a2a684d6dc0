"""The body of a callback: the six fields of the first VoTT-train, then job, state and message. Pure."""

from typing import Any, Literal

CallbackState = Literal["running", "succeeded", "failed", "cancelled"]


def callback_payload(
    *,
    job: str,
    state: CallbackState,
    message: str,
    progress: float = 0.0,
    epoch_current: int = 0,
    epoch_total: int = 0,
    step_current: int = 0,
    step_total: int = 0,
    classification_loss: float | None = None,
) -> dict[str, Any]:
    """Return the body as a JSON object; `progress` is the fraction of the whole training, 0 to 1.

    Epochs and steps count from 1; 0 means none yet, or unknown.
    """
    return {
        "progress": round(progress, 4),
        "epoch_current": epoch_current,
        "epoch_total": epoch_total,
        "step_current": step_current,
        "step_total": step_total,
        "classification_loss": classification_loss,
        "job": job,
        "state": state,
        "message": message,
    }
