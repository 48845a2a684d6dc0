"""Grade a model by its primary metric, as far as the held-out images can tell."""

from vott_trainer.plugin_api import Evaluation, Interval

GRADES = {
    "mAP50": ((0.9, "Very good"), (0.75, "Good"), (0.5, "Usable with care"), (0.0, "Not good yet")),
    "accuracy": ((0.95, "Very good"), (0.85, "Good"), (0.7, "Usable with care"), (0.0, "Not good yet")),
}
"""Lowest score and grade, by the primary metric."""

UNCERTAIN = "Measured on too few images to say how good"


GOOD = 2  # the first grades


def is_weak(evaluation: Evaluation) -> bool:
    """Whether even the best that the held-out images allow is not good."""
    ends = _ends(evaluation)
    return ends is not None and ends[1] >= GOOD


def grade(evaluation: Evaluation) -> str:
    """Grade the model, with the grades of both ends of its interval; "" if its primary metric has no grades."""
    ends = _ends(evaluation)
    if not ends:
        return ""
    worst, best = (GRADES[next(iter(evaluation.metrics))][number][1] for number in ends)
    if ends[0] - ends[1] > 1:
        return UNCERTAIN
    return best if best == worst else f"{worst} to {best.lower()}"


def _ends(evaluation: Evaluation) -> tuple[int, int] | None:
    """Return the numbers of the worst and the best grade in the interval of the primary metric; None if it has no grades."""
    name, value = next(iter(evaluation.metrics.items()))
    if name not in GRADES:
        return None
    interval = evaluation.intervals.metrics.get(name, Interval(value, value))
    worst, best = (next(n for n, (lowest, _) in enumerate(GRADES[name]) if end >= lowest) for end in interval)
    return worst, best
