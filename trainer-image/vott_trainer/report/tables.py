"""The report's tables, ready to be laid out."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from vott_trainer.annotations.findings import Finding
from vott_trainer.plugin_api import Evaluation
from vott_trainer.report.wording import MEANINGS, is_tally, percent, shown

LARGEST_MATRIX = 30  # classes; nobody reads a larger one
COLUMNS = {
    "count": ("Objects", "how many of them measured the model"),
    "AP50": ("AP50", "how well the class is found and named: 100 % is perfect"),
    "AP": ("AP", "the same, but boxes must fit tightly"),
    "f1": ("F1", "balance of precision and recall"),
    "recall": ("Recall", "share of the objects that the model finds"),
    "precision": ("Precision", "share of what the model says that is right"),
    "bestScore": ("Best score", "predictions from this score on give the best balance of recall and precision"),
}
FINDINGS = {
    "line": "Lines of the annotation file",
    "image": "Images",
    "box": "Boxes",
    "class": "Classes",
    "duplicate": "Duplicates",
}
AMOUNTS = {
    "trainingImages": "Images to learn from",
    "heldOutImages": "Images to measure with",
    "images": "Images",
    "boxes": "Objects",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure: `text` as people read it."""

    name: str
    text: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure in a table: `share` from 0 to 1 is drawn, None for what is no share."""

    text: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A class and its figures."""

    label: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures by class: `columns` are (name, meaning)."""

    columns: list[tuple[str, str]]
    rows: list[Row]


def headline(metrics: dict[str, float]) -> list[Figure]:
    """Return the metrics with what they mean, the primary one first."""
    return [Figure(name, _metric(name, value), MEANINGS.get(name, "")) for name, value in metrics.items()]


def _metric(name: str, value: float) -> str:
    return percent(value) if name in MEANINGS and 0 <= value <= 1 and name != "boxes" else shown(value)


def classes(evaluation: Evaluation | None) -> Table | None:
    """Return the figures of each class, the weakest class first."""
    if not evaluation or not evaluation.per_class:
        return None
    names = [name for name in COLUMNS if any(name in figures for figures in evaluation.per_class.values())]
    first = names[1] if len(names) > 1 else names[0]
    ranked = sorted(evaluation.per_class.items(), key=lambda entry: entry[1].get(first, 2.0))
    rows = [Row(label, [_cell(name, figures.get(name)) for name in names]) for label, figures in ranked]
    return Table([COLUMNS[name] for name in names], rows)


def _cell(name: str, value: float | None) -> Cell:
    if value is None:
        return Cell("-")
    if name == "count":
        return Cell(shown(value))
    return Cell(f"{value:.2f}") if name == "bestScore" else Cell(percent(value), value)


def matrix(evaluation: Evaluation | None) -> Table | None:
    """Return the confusion matrix; a cell's share is that of its row. None where there is none that one can read."""
    confusion = evaluation.confusion if evaluation else None
    if not confusion or len(confusion.labels) > LARGEST_MATRIX:
        return None
    columns = [(label, "seen as") for label in confusion.labels]
    rows = list(confusion.labels)
    if confusion.with_background:
        columns[-1], rows[-1] = ("missed", "is there, but not seen"), "nothing there"
    return Table(columns, [Row(label, _shares(counts)) for label, counts in zip(rows, confusion.counts, strict=True)])


def repeated(evaluation: Evaluation | None) -> list[tuple[str, int]]:
    """Return how many predictions of each class marked an object that another one had found, those classes alone that have any."""
    confusion = evaluation.confusion if evaluation else None
    return (
        [(label, n) for label, n in zip(confusion.labels, confusion.repeated, strict=False) if n] if confusion else []
    )


def _shares(counts: list[int]) -> list[Cell]:
    total = sum(counts)
    return [Cell(f"{number:,}" if number else "", number / total if total else 0.0) for number in counts]


def amounts(counts: dict[str, Any]) -> Table | None:
    """Return how many images there are, and how many objects of each class; a share is that of the most frequent class."""
    rows = [row for name, amount in counts.items() for row in _amount(AMOUNTS.get(name, name), amount)]
    return Table([("", "")], rows) if rows else None


def _amount(name: str, amount: Any) -> list[Row]:
    if not is_tally(amount):
        return [Row(name, [Cell(shown(amount))])]
    most = max([1, *amount.values()])
    return [Row(f"{name}: {label}", [Cell(shown(number), number / most)]) for label, number in sorted(amount.items())]


def findings(found: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Return the findings by kind."""
    ranked = sorted(found, key=lambda finding: list(FINDINGS).index(finding.kind))
    return [(FINDINGS[kind], list(same)) for kind, same in groupby(ranked, key=lambda finding: finding.kind)]
