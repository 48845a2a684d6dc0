"""The body of a callback: the six fields of the first VoTT-train, then job, state and message. Pure.

The trainer posts it while it trains; the operator posts outcomes, and where callbacks are signed everything.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

CallbackState = Literal["running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackBody:
    """The JSON object that is posted to the callback: during a training, at its end, and when a message is rejected."""

    progress: float = 0.0
    """Fraction of the whole training, 0 to 1."""
    epoch_current: int = 0
    """The current epoch, from 1; 0: none yet."""
    epoch_total: int = 0
    """Number of epochs; 0: not known yet."""
    step_current: int = 0
    """The current step of the epoch, from 1; 0: none yet."""
    step_total: int = 0
    """Number of steps of an epoch; 0: not known yet."""
    classification_loss: float | None = None
    """Loss of the current epoch; null before the first step."""
    job: str
    """Name of the TrainingJob; for a rejected message, which has none, a name that no TrainingJob has."""
    state: CallbackState
    """running, or the outcome, which is the last post: succeeded, failed (also for a rejected message) or cancelled."""
    message: str
    """A text for people: what happens, or the cause and the remedy."""

    def to_json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        return asdict(self) | {"progress": round(self.progress, 4)}


def in_fold(text: str, fold: int, folds: int) -> str:
    """A `message` about one of the trainings of a cross-validation; `text` itself if there is only one."""
    return f"{text}, fold {fold} of {folds}" if folds > 1 else text
