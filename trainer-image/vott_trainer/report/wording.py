"""The figures in words: how good the model is, and how sure that is."""

import re
from dataclasses import dataclass
from typing import Any

from vott_trainer.http.printable import printable
from vott_trainer.plugin_api import Confusion, Evaluation
from vott_trainer.report.result import Result

FEW_MEASURED = 30  # objects; below it one object more or less moves the figures by some percent
GRADES = {
    "mAP50": ((0.9, "Very good"), (0.75, "Good"), (0.5, "Usable with care"), (0.0, "Not good yet")),
    "accuracy": ((0.95, "Very good"), (0.85, "Good"), (0.7, "Usable with care"), (0.0, "Not good yet")),
}
MEANINGS = {
    "mAP50": "how well objects are found and named, over all classes; 100 % is perfect (COCO's AP at IoU 0.50)",
    "mAP": "the same, but boxes must fit tightly; a good detector on hard images reaches 50 % (COCO's AP, IoU 0.50 to 0.95)",
    "accuracy": "share of the images whose class is told rightly",
    "f1": "balance of precision and recall, the mean over all classes",
    "boxes": "annotated objects",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """What a confusion matrix comes to: what is there, what was seen, how much of it is right, and how much only repeats that."""

    there: int
    seen: int
    right: int
    repeated: int = 0

    @property
    def wrong(self) -> int:
        """What was seen and is not so."""
        return self.seen - self.right - self.repeated

    @staticmethod
    def of(confusion: Confusion) -> "Tally":
        """Count; nothing there (a detector's last label) is no object."""
        end = -1 if confusion.with_background else None
        there = sum(sum(row) for row in confusion.counts[:end])
        repeated = sum(confusion.repeated)
        seen = sum(sum(row[:end]) for row in confusion.counts) + repeated
        right = sum(row[number] for number, row in enumerate(confusion.counts[:end]))
        return Tally(there, seen, right, repeated)


def grade(evaluation: Evaluation) -> str:
    """Return the model's quality in a few words, "" for metrics that have no scale here."""
    name, value = next(iter(evaluation.metrics.items()))
    return next((words for least, words in GRADES.get(name, ()) if value >= least), "")


def summary(result: Result) -> str:
    """Return what a person who is to use the model wants to know, in one or two sentences."""
    evaluation = result.evaluation
    if not evaluation:
        return "This plugin does not measure its models on held-out images."
    images = result.counts.get("heldOutImages")
    where = f"On {count(images, 'image')} that it had never seen" if images else "On images that it had never seen"
    if not evaluation.confusion:
        return f"{where}, the model was measured."
    tally = Tally.of(evaluation.confusion)
    if not evaluation.confusion.with_background:
        return f"{where}, the model told the class rightly {tally.right} of {tally.there} times."
    return f"{where}, the model found {tally.right} of {count(tally.there, 'object')}{_drawn(tally)}."


def _drawn(tally: Tally) -> str:
    """Return what is to be said of the boxes that are not right."""
    boxes, was = count(tally.seen, "box", "boxes"), "was" if tally.wrong == 1 else "were"
    again = f"{tally.repeated} marked an object a second time"
    if tally.wrong:
        return f"; {tally.wrong} of the {boxes} it drew {was} wrong" + (f", and {again}" if tally.repeated else "")
    return f"; none of the {boxes} it drew was wrong, but {again}" if tally.repeated else ", and drew no box wrongly"


def measures_boxes(evaluation: Evaluation | None) -> bool:
    """Return whether it is a detector's."""
    return bool(evaluation and evaluation.confusion and evaluation.confusion.with_background)


def caveat(evaluation: Evaluation) -> str:
    """Return a warning where the figures rest on little, else ""."""
    measured = Tally.of(evaluation.confusion).there if evaluation.confusion else 0
    if not evaluation.confusion or measured >= FEW_MEASURED:
        return ""
    return f"Only {count(measured, 'example')} measured this, so the figures are rough. More annotated images make both them and the model better."


def confusions(confusion: Confusion | None) -> list[tuple[int, str, str]]:
    """Return how often one class was taken for another one, most often first, as (times, truth, seen)."""
    if not confusion:
        return []
    end = -1 if confusion.with_background else None
    labels = confusion.labels[:end]
    found = [
        (confusion.counts[row][column], truth, seen)
        for row, truth in enumerate(labels)
        for column, seen in enumerate(labels)
        if row != column and confusion.counts[row][column]
    ]
    return sorted(found, key=lambda entry: (-entry[0], entry[1:]))


def is_tally(amount: Any) -> bool:
    """Return whether this is a number for each class."""
    return isinstance(amount, dict) and all(isinstance(number, int | float) for number in amount.values())


def heading(result: Result) -> str:
    """Return what was trained, in a few words."""
    architecture = result.settings.get("architecture") or result.parameters.get("architecture")
    return f"{result.plugin}, {architecture}" if architecture else result.plugin


def percent(share: float) -> str:
    """Return a share in percent; only what is all or nothing reads 100 % or 0 %."""
    rounded = round(share * 100)
    if rounded in (0, 100) and share not in (0, 1):
        return "> 99 %" if rounded else "< 1 %"
    return f"{rounded} %"


def shown(value: Any) -> str:
    """Return any JSON value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    return "-" if value is None else str(value)


def count(number: int, word: str, plural: str = "") -> str:
    """Return the number with its word, in the plural where it is not one."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def spaced(name: str) -> str:
    """Return a camelCase name as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def settings(result: Result) -> dict[str, Any]:
    """Return what was set and chosen, without credentials, and without what was left open."""
    known = printable(result.parameters | result.settings)
    return {name: value for name, value in known.items() if value is not None}


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), seconds / 3600
    return f"{minutes} min" if minutes < 120 else f"{hours:.1f} h"
