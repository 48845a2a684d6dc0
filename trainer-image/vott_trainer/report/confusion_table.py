"""The confusion matrix: its table, its totals, and the most frequent confusions."""

from dataclasses import dataclass

from vott_trainer.plugin_api import Confusion
from vott_trainer.report.tables import Cell, Table, TableRow

MOST_CLASSES = 30  # a larger matrix is unreadable


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of objects in the ground truth, of predictions, and of correct and duplicate ones among these."""

    truth: int
    predicted: int
    correct: int
    duplicates: int = 0

    @property
    def wrong(self) -> int:
        """Number of predictions that are neither correct nor duplicates."""
        return self.predicted - self.correct - self.duplicates

    @classmethod
    def of(cls, confusion: Confusion) -> "Totals":
        """Sum up a matrix; a detector's background is no object."""
        classes = slice(-1) if confusion.with_background else slice(None)
        duplicates = sum(confusion.repeated)
        return cls(
            truth=sum(sum(row) for row in confusion.counts[classes]),
            predicted=sum(sum(row[classes]) for row in confusion.counts) + duplicates,
            correct=sum(row[number] for number, row in enumerate(confusion.counts[classes])),
            duplicates=duplicates,
        )


@dataclass(frozen=True, slots=True)
class Mistake:
    """How many objects of class `truth` were predicted as class `predicted`."""

    truth: str
    predicted: str
    count: int


def matrix(confusion: Confusion | None) -> Table | None:
    """Tabulate the matrix; a cell's share is relative to its row. None if there is no matrix, or if it is too large."""
    if not confusion or len(confusion.labels) > MOST_CLASSES:
        return None
    columns = [(label, "predicted as") for label in confusion.labels]
    rows = list(confusion.labels)
    if confusion.with_background:
        columns[-1], rows[-1] = ("missed", "in the image, but not found"), "no object"
    return Table(
        columns, [TableRow(label, _shares(counts)) for label, counts in zip(rows, confusion.counts, strict=True)]
    )


def duplicates(confusion: Confusion | None) -> list[tuple[str, int]]:
    """List the classes with duplicate predictions, and their number."""
    if not confusion:
        return []
    return [(label, count) for label, count in zip(confusion.labels, confusion.repeated, strict=False) if count]


def mistakes(confusion: Confusion | None) -> list[Mistake]:
    """List which class was mistaken for which, the most frequent first."""
    if not confusion:
        return []
    labels = confusion.labels[:-1] if confusion.with_background else confusion.labels
    found = [
        Mistake(truth, predicted, confusion.counts[row][column])
        for row, truth in enumerate(labels)
        for column, predicted in enumerate(labels)
        if row != column and confusion.counts[row][column]
    ]
    return sorted(found, key=lambda mistake: (-mistake.count, mistake.truth, mistake.predicted))


def _shares(counts: list[int]) -> list[Cell]:
    total = sum(counts)
    return [Cell(f"{count:,}" if count else "", count / total if total else 0.0) for count in counts]
