"""What a score means: sentences and numbers from the reliability points of an evaluation."""

from collections.abc import Sequence

from vott_trainer.plugin_api import ReliabilityPoint
from vott_trainer.report.formatting import count, percent

ENOUGH = 10  # predictions, to say in a sentence how often they are correct


def calibration_error(points: Sequence[ReliabilityPoint]) -> float:
    """Return the expected calibration error, 0 to 1: the mean distance of score and share of correct predictions; 0 without points."""
    total = sum(point.count for point in points)
    return sum(point.count * abs(point.score - point.correct) for point in points) / total if total else 0.0


def meaning_of_scores(points: Sequence[ReliabilityPoint]) -> str:
    """Say what the lowest and the highest scores mean that are frequent enough; "" without points."""
    if not points:
        return ""
    frequent = [point for point in points if point.count >= ENOUGH]
    if not frequent:
        predictions = count(sum(point.count for point in points), "prediction")
        return f"With only {predictions} on the held-out images, nobody can say what a score means."
    first, last = frequent[0], frequent[-1]
    sentence = f"A score of about {first.score:.2f} means: right in {_cases(first)}"
    return f"{sentence}; about {last.score:.2f} means {_cases(last)}." if last != first else f"{sentence}."


def _cases(point: ReliabilityPoint) -> str:
    share = percent(point.correct)
    return f"{share} of cases ({round(point.correct * point.count)} of {point.count})"
