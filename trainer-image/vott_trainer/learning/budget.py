"""How far a training is: by its steps, or by the time that it may take, whichever is further.

Time counts as the state of the training counts it, so an interruption takes none of it.
"""

from vott_trainer.learning import distributed
from vott_trainer.learning.state import TrainingState

MILLISECONDS = 1000


def progress(state: TrainingState, *, epochs: int, steps: int, minutes: float | None) -> float:
    """Return the completed share of the training, 0 to 1, the same in every process; all must call this.

    Args:
        steps: of an epoch.
        minutes: the budget, None for no limit.
    """
    share = (state.epoch - 1 + state.step / steps) / epochs
    if minutes:
        spent = distributed.maximum(round(seconds(state) * MILLISECONDS)) / MILLISECONDS
        share = max(share, spent / (60 * minutes))
    return min(1.0, share)


def note(epoch: int, epochs: int, minutes: float) -> str:
    """Return the sentence for the report of a training that its budget has ended."""
    unit = "minute" if minutes == 1 else "minutes"
    return (
        f"The budget of {minutes:g} {unit} ended the training in epoch {epoch} of {epochs}. "
        "A larger one (parameter budgetMinutes) or a faster machine may give a better model."
    )


def seconds(state: TrainingState) -> float:
    """Return the seconds spent on training and evaluation so far."""
    spent = state.history.seconds
    return spent.get("training", 0.0) + spent.get("evaluation", 0.0) + state.means.seconds
