"""The report's tables: headline metrics, metrics per class, data, findings and settings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from vott_trainer.annotations.findings import Finding
from vott_trainer.http.json_redaction import redact_json
from vott_trainer.plugin_api import Evaluation, FoldMetrics, Interval
from vott_trainer.report.formatting import percent, percent_range, shown
from vott_trainer.report.result import Result

MEANINGS = {
    "mAP50": "how well objects are found and classified, mean over all classes; 100 % is perfect (COCO's AP at IoU 0.50)",
    "mAP": "the same, but boxes (or masks) must fit tightly; a good detector reaches 50 % on hard images (COCO's AP, IoU 0.50 to 0.95)",
    "boxMAP50": "mAP50 of the boxes around the masks",
    "boxMAP": "mAP of the boxes around the masks",
    "accuracy": "share of the images that are classified correctly",
    "f1": "balance of precision and recall, mean over all classes",
    "boxes": "annotated objects",
}
COLUMNS = {
    "count": ("Objects", "how many the model was measured on"),
    "AP50": ("AP50", "how well the class is found and classified; 100 % is perfect"),
    "AP": ("AP", "the same, but boxes (or masks) must fit tightly"),
    "f1": ("F1", "balance of precision and recall"),
    "recall": ("Recall", "share of the objects that the model finds"),
    "precision": ("Precision", "share of the predictions that are correct"),
    "threshold": (
        "Threshold",
        "the score from which its predictions are shown and counted: the best balance of recall and precision. "
        "With few objects it leans on the other classes",
    ),
}
FINDINGS = {
    "file": "The annotation file",
    "line": "Lines of the annotation file",
    "image": "Images",
    "box": "Boxes",
    "class": "Classes",
    "duplicate": "Duplicates",
    "scene": "Scenes",
}
COUNTS = {
    "trainingImages": "Training images",
    "heldOutImages": "Held-out images",
    "images": "Images",
    "boxes": "Objects",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A headline metric; `text` is its formatted value, `interval` its confidence interval, if known."""

    name: str
    text: str
    meaning: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell; `share` (0 to 1) is drawn as a bar, None draws none; `interval` is its confidence interval, if known."""

    text: str
    share: float | None = None
    interval: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A labelled row."""

    label: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; `columns` are (name, meaning)."""

    columns: list[tuple[str, str]]
    rows: list[TableRow]


def headline(result: Result) -> list[Metric]:
    """List the metrics with their meanings and intervals, the primary one first."""
    intervals = result.evaluation.intervals.metrics if result.evaluation else {}
    return [
        Metric(name, _value(name, value), MEANINGS.get(name, ""), _range(intervals.get(name)))
        for name, value in result.metrics.items()
    ]


def _range(interval: Interval | None) -> str:
    return percent_range(*interval) if interval else ""


def _value(name: str, value: float) -> str:
    return percent(value) if name in MEANINGS and 0 <= value <= 1 and name != "boxes" else shown(value)


def classes(evaluation: Evaluation | None) -> Table | None:
    """Tabulate the metrics of each class, the weakest class first."""
    if not evaluation or not evaluation.per_class:
        return None
    names = [name for name in COLUMNS if any(name in metrics for metrics in evaluation.per_class.values())]
    primary = names[1] if len(names) > 1 else names[0]
    ranked = sorted(evaluation.per_class.items(), key=lambda entry: entry[1].get(primary, 2.0))
    intervals = evaluation.intervals.per_class
    rows = [
        TableRow(label, [_cell(name, metrics.get(name), intervals.get(label, {}).get(name)) for name in names])
        for label, metrics in ranked
    ]
    return Table([COLUMNS[name] for name in names], rows)


def _cell(name: str, value: float | None, interval: Interval | None) -> Cell:
    if value is None:
        return Cell("-")
    if name == "count":
        return Cell(shown(value))
    return Cell(f"{value:.2f}") if name == "threshold" else Cell(percent(value), value, _range(interval))


def folds(evaluation: Evaluation | None) -> Table | None:
    """Tabulate the metrics of each fold of a cross-validation, and of all together."""
    if not evaluation or not evaluation.folds:
        return None
    total = FoldMetrics(sum(fold.items for fold in evaluation.folds), evaluation.metrics)
    names = list(evaluation.metrics)
    rows = [_fold_row(f"Fold {number}", fold, names, {}) for number, fold in enumerate(evaluation.folds, 1)]
    rows.append(_fold_row("All together", total, names, evaluation.intervals.metrics))
    columns = [(name, MEANINGS.get(name, "")) for name in names]
    return Table([("Held out", "images, or boxes to classify"), *columns], rows)


def _fold_row(label: str, fold: FoldMetrics, names: Sequence[str], intervals: Mapping[str, Interval]) -> TableRow:
    metrics = [_cell(name, fold.metrics.get(name), intervals.get(name)) for name in names]
    return TableRow(label, [Cell(shown(fold.items)), *metrics])


def data(counts: dict[str, Any]) -> Table | None:
    """Tabulate the numbers of images, and of objects of each class; a share is relative to the most frequent class."""
    rows = [row for name, value in counts.items() for row in _count_rows(COUNTS.get(name, name), value)]
    return Table([("", "")], rows) if rows else None


def _count_rows(name: str, value: Any) -> list[TableRow]:
    if not is_per_class(value):
        return [TableRow(name, [Cell(shown(value))])]
    most = max([1, *value.values()])
    return [
        TableRow(f"{name}: {label}", [Cell(shown(number), number / most)]) for label, number in sorted(value.items())
    ]


def is_per_class(counts: Any) -> bool:
    """Whether these are numbers by class."""
    return isinstance(counts, dict) and all(isinstance(number, int | float) for number in counts.values())


def findings(found: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Group the findings by kind."""
    ranked = sorted(found, key=lambda finding: list(FINDINGS).index(finding.kind))
    return [(FINDINGS[kind], list(same)) for kind, same in groupby(ranked, key=lambda finding: finding.kind)]


def settings(result: Result) -> dict[str, Any]:
    """Return the parameters and the plugin's choices that are set, without credentials."""
    chosen = redact_json(result.parameters | result.settings)
    return {name: value for name, value in chosen.items() if value is not None}
