"""Classifier evaluation: accuracy, F1, precision-recall curves and a confusion matrix, from the scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Confusion, Evaluation, Example, Point, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.vision import matching
from vott_trainer.vision.calibration import reliability
from vott_trainer.vision.confusion_matrix import class_metrics
from vott_trainer.vision.intervals import classifier_intervals

Scores = NDArray[np.floating]


class Shown(NamedTuple):
    """The picture of an item in the report's examples: an image, or one box of it; and the image's scene."""

    image: Path
    name: str
    box: Box | None = None
    scene: int | None = None


def evaluate_classes(truth: Sequence[int], scores: Scores, labels: Sequence[str], shown: Sequence[Shown]) -> Evaluation:
    """Evaluate a classifier; it predicts the class with the highest score.

    Args:
        truth: the true class of each item, as a number from 0.
        scores: [items, classes]; each row adds up to 1.
        labels: the classes' names.
        shown: each item's picture.

    Returns:
        `accuracy`, and `f1`: the mean over the classes in `truth`. Both are 0 to 1.
    """
    true = np.asarray(truth, np.int64)
    predicted = scores.argmax(axis=1)
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (true, predicted), 1)
    confusion = Confusion(list(labels), counts.tolist())
    curves = {
        label: curve for number, label in enumerate(labels) if (curve := _curve(true == number, scores[:, number]))
    }
    per_class = {label: _with_f1(metrics) for label, metrics in class_metrics(confusion, labels).items()}
    present = [metrics["f1"] for metrics in per_class.values() if metrics["count"]]
    metrics = {"accuracy": float((true == predicted).mean()), "f1": float(np.mean(present))}
    rows = zip(shown, true.tolist(), predicted.tolist(), scores.max(axis=1).tolist(), strict=True)
    examples = [_example(picture, labels[one], labels[other], score) for picture, one, other, score in rows]
    evaluation = Evaluation(
        metrics,
        per_class,
        curves,
        confusion,
        choose_examples(examples),
        reliability=reliability(scores.max(axis=1), true == predicted),
    )
    scenes = [one.image if one.scene is None else one.scene for one in shown]
    return replace(evaluation, compute_intervals=lambda: classifier_intervals(evaluation, examples, scenes, labels))


def _with_f1(metrics: dict[str, float]) -> dict[str, float]:
    both = metrics["precision"] + metrics["recall"]
    return metrics | {"f1": 2 * metrics["precision"] * metrics["recall"] / both if both else 0.0}


def _curve(is_class: NDArray[np.bool_], scores: Scores) -> list[Point]:
    """Return the curve of one class against the others, with up to 101 points; empty without examples."""
    if not is_class.any():
        return []
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_class[order])
    recall, precision = hits / hits[-1], hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # as COCO: the best precision at that recall or more
    indices = np.unique(np.searchsorted(recall, np.linspace(0, 1, 101)))
    return [
        Point(round(float(recall[i]), 4), round(float(precision[i]), 4), round(float(scores[order[i]]), 4))
        for i in indices
    ]


def _example(shown: Shown, true: str, predicted: str, score: float) -> Example:
    truth, prediction = Prediction(true, 1.0, shown.box), Prediction(predicted, score, shown.box)
    return matching.example(shown.image, shown.name, [truth], [prediction])
