"""What a classifier of whole images can do on held-out ones, from its scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Confusion, Evaluation, Example, Point, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.vision import matching

Scores = NDArray[np.floating]


class Shown(NamedTuple):
    """Where an item of the report's examples is to be seen: an image, or what a box cuts out of it."""

    image: Path
    name: str
    box: Box | None = None


def evaluate_classes(truth: Sequence[int], scores: Scores, labels: Sequence[str], shown: Sequence[Shown]) -> Evaluation:
    """Measure a classifier; the class with the highest score counts.

    Args:
        truth: the right class of each item, as a number from 0.
        scores: [items, classes], each row adding up to 1.
        labels: the classes' names.
        shown: where each item is to be seen.

    Returns:
        `accuracy`, and `f1`: the mean over the classes that are there. All 0 to 1.
    """
    right = np.asarray(truth, np.int64)
    chosen = scores.argmax(axis=1)
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (right, chosen), 1)
    confusion = Confusion(list(labels), counts.tolist())
    curves = {
        label: curve for number, label in enumerate(labels) if (curve := _curve(right == number, scores[:, number]))
    }
    per_class = {label: _with_f1(figures) for label, figures in matching.per_class(confusion, labels).items()}
    present = [figures["f1"] for figures in per_class.values() if figures["count"]]
    metrics = {"accuracy": float((right == chosen).mean()), "f1": float(np.mean(present))}
    rows = zip(shown, right.tolist(), chosen.tolist(), scores.max(axis=1).tolist(), strict=True)
    examples = [_example(one, labels[is_], labels[seen], score) for one, is_, seen, score in rows]
    return Evaluation(metrics, per_class, curves, confusion, choose_examples(examples))


def _with_f1(figures: dict[str, float]) -> dict[str, float]:
    both = figures["precision"] + figures["recall"]
    return figures | {"f1": 2 * figures["precision"] * figures["recall"] / both if both else 0.0}


def _curve(is_class: NDArray[np.bool_], scores: Scores) -> list[Point]:
    """Return one class against the others, a point for each hundredth of recall at most; nothing where the class is not there."""
    if not is_class.any():
        return []
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_class[order])
    recall, precision = hits / hits[-1], hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # as COCO draws it: what can be had at that recall or more
    places = np.unique(np.searchsorted(recall, np.linspace(0, 1, 101)))
    return [
        Point(round(float(recall[i]), 4), round(float(precision[i]), 4), round(float(scores[order[i]]), 4))
        for i in places
    ]


def _example(shown: Shown, truth: str, seen: str, score: float) -> Example:
    one, two = Prediction(truth, 1.0, shown.box), Prediction(seen, score, shown.box)
    return matching.example(shown.image, shown.name, [one], [two])
