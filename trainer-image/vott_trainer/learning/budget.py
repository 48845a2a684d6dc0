"""How far a training is: by its steps, or by the time that it may take, whichever is further.

Time counts as the state of the training counts it, so an interruption takes none of it.
"""

from vott_trainer.learning.state import TrainingState

MINUTE = 60_000  # milliseconds


def progress(state: TrainingState, epochs: int, steps: int, minutes: float | None, spent: int) -> float:
    """Return the completed share of the training, 0 to 1.

    Args:
        steps: of an epoch.
        minutes: the budget, None for no limit.
        spent: milliseconds of the slowest process, so that all have the same result.
    """
    share = (state.epoch - 1 + state.step / steps) / epochs
    return min(1.0, max(share, spent / (MINUTE * minutes)) if minutes else share)


def milliseconds(state: TrainingState) -> int:
    """Return the time spent on training and evaluation so far."""
    spent = state.history.seconds
    return round(1000 * (spent.get("training", 0.0) + spent.get("evaluation", 0.0) + state.means.seconds))


def note(epoch: int, epochs: int, minutes: float) -> str:
    """Return the sentence for the report of a training that its budget has ended."""
    unit = "minute" if minutes == 1 else "minutes"
    return (
        f"The budget of {minutes:g} {unit} ended the training in epoch {epoch} of {epochs}. "
        "A larger one (parameter budgetMinutes) or a faster machine may give a better model."
    )
