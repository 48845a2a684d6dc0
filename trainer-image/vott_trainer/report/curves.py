"""The report's curves: precision-recall, calibration, metrics and losses."""

import math
from collections.abc import Iterable, Sequence

from vott_trainer.plugin_api import Evaluation, Point
from vott_trainer.report import charts
from vott_trainer.report.calibration import calibration_error, meaning_of_scores
from vott_trainer.report.charts import Chart, Line
from vott_trainer.report.result import Result

MOST_LINES = 8  # of a chart


def curves(result: Result) -> list[Chart]:
    """Draw precision-recall curves, calibration, and metrics and losses over the epochs, as far as they were measured."""
    return [
        *_precision_recall(result.evaluation),
        *_reliability(result.evaluation),
        *_metrics(result),
        *_losses(result),
    ]


def _precision_recall(evaluation: Evaluation | None) -> list[Chart]:
    """Draw one line per class; of the weakest classes if there are too many."""
    measured = {label: curve for label, curve in (evaluation.curves if evaluation else {}).items() if curve}
    if not measured:
        return []
    weakest_first = sorted(measured, key=lambda label: _area(measured[label]))
    drawn = sorted(weakest_first[:MOST_LINES])
    lines = [_line(number, label, [point[:2] for point in measured[label]]) for number, label in enumerate(drawn)]
    selection = "" if len(measured) <= MOST_LINES else f", the {MOST_LINES} weakest classes"
    meaning = "A lower score threshold finds more objects and makes more mistakes. Up and to the right is better."
    return [charts.precision_recall(f"Precision and recall{selection}", meaning, lines)]


def _area(curve: list[Point]) -> float:
    return sum(point.precision for point in curve) / 101


def _reliability(evaluation: Evaluation | None) -> list[Chart]:
    if not evaluation or not evaluation.reliability:
        return []
    points = evaluation.reliability
    meaning = (
        f"{meaning_of_scores(points)} On the dashed line, a score of 0.7 is right in 70 % of cases; below it, the model is too sure. "
        "The number at a dot says how many predictions it stands for. "
        f"Scores differ from the share of correct predictions by {calibration_error(points):.2f} on average (expected calibration error)."
    )
    return [charts.reliability("What a score means", meaning, points)]


def _metrics(result: Result) -> list[Chart]:
    lines = [line for line in _lines(result, result.metrics) if all(0 <= value <= 1 for _, value in line.points)]
    meaning = "Measured from time to time during training. If a curve still rises at its end, train longer."
    return [charts.over_epochs("Quality on the held-out images", meaning, lines, from_0_to_1=True)] if lines else []


def _losses(result: Result) -> list[Chart]:
    has_parts = any(row.get("loss") != row.get("classificationLoss") for row in result.history)
    lines = _lines(result, ["loss", "classificationLoss"] if has_parts else ["loss"])
    meaning = "How wrong the model is on the training images. It should fall, then level off."
    return [charts.over_epochs("Loss", meaning, lines, from_0_to_1=False)] if lines else []


def _lines(result: Result, names: Iterable[str]) -> list[Line]:
    points = {
        name: [(row["epoch"], row[name]) for row in result.history if _is_number(row.get(name))] for name in names
    }
    return [_line(number, name, points[name]) for number, name in enumerate(name for name in points if points[name])]


def _line(number: int, name: str, points: Sequence[tuple[float, float]]) -> Line:
    return Line(name, points, charts.COLOURS[number % len(charts.COLOURS)])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
