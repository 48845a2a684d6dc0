"""What the report draws as curves."""

import math
from collections.abc import Iterable, Sequence

from vott_trainer.plugin_api import Evaluation, Point
from vott_trainer.report import charts as draw
from vott_trainer.report.charts import Chart
from vott_trainer.report.result import Result

LINES = 8  # of a chart


def curves(result: Result) -> list[Chart]:
    """Return precision-recall curves, metrics and losses over the epochs, as far as they were measured."""
    return [*_precision_recall(result.evaluation), *_metrics(result), *_losses(result)]


def _precision_recall(evaluation: Evaluation | None) -> list[Chart]:
    """Draw the weakest classes, where there are too many for one chart."""
    known = {label: curve for label, curve in (evaluation.curves if evaluation else {}).items() if curve}
    if not known:
        return []
    labels = sorted(known, key=lambda label: _area(known[label]))
    chosen = sorted(labels[:LINES])
    lines = [_line(number, label, [point[:2] for point in known[label]]) for number, label in enumerate(chosen)]
    which = "" if len(labels) <= LINES else f", the {LINES} weakest classes"
    meaning = "The lower the score from which predictions count, the more is found, and the more of it is wrong. Up and to the right is better."
    return [draw.precision_recall(f"Precision and recall{which}", meaning, lines)]


def _area(curve: list[Point]) -> float:
    return sum(point.precision for point in curve) / 101


def _metrics(result: Result) -> list[Chart]:
    lines = [line for line in _lines(result, result.metrics) if all(0 <= value <= 1 for _, value in line.points)]
    meaning = "Measured now and then during the training. A curve that still climbs at its end asks for more epochs."
    return [draw.over_epochs("Quality on the held-out images", meaning, lines, share=True)] if lines else []


def _losses(result: Result) -> list[Chart]:
    parts = any(row.get("loss") != row.get("classificationLoss") for row in result.history)
    lines = _lines(result, ["loss", "classificationLoss"] if parts else ["loss"])
    meaning = "How wrong the model is on the images it learns from. It should fall, and then level off."
    return [draw.over_epochs("Loss", meaning, lines, share=False)] if lines else []


def _lines(result: Result, names: Iterable[str]) -> list[draw.Line]:
    points = {
        name: [(row["epoch"], row[name]) for row in result.history if _is_number(row.get(name))] for name in names
    }
    return [_line(number, name, points[name]) for number, name in enumerate(name for name in points if points[name])]


def _line(number: int, name: str, points: Sequence[tuple[float, float]]) -> draw.Line:
    return draw.Line(name, points, draw.COLOURS[number % len(draw.COLOURS)])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
