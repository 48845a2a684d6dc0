"""Recall, precision and F1 of each class in each resample of a bootstrap."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vott_trainer.plugin_api import Example, Prediction

Floats = NDArray[np.float32]


@dataclass
class _Counts:
    """Of a class: the examples that have it, and each one's objects, predictions and correct predictions."""

    examples: list[int] = field(default_factory=list)
    counts: list[tuple[int, int, int]] = field(default_factory=list)


def resampled_ratios(
    examples: Sequence[Example], weights: Floats, labels: Sequence[str]
) -> dict[str, dict[str, Floats]]:
    """Return `recall`, `precision` and `f1` of each class, [resamples]; NaN in resamples without an object of the class.

    Args:
        examples: all held-out items.
        weights: how often each is drawn, [resamples, items].
        labels: the classes.
    """
    classes = {label: _Counts() for label in labels}
    for number, example in enumerate(examples):
        objects, predicted = _labels(example.truth), _labels(example.predictions)
        correct = objects - _labels(example.missed)
        for label in objects.keys() | predicted.keys():
            classes[label].examples.append(number)
            classes[label].counts.append((objects[label], predicted[label], correct[label]))
    return {label: _ratios(one, weights) for label, one in classes.items()}


def _labels(predictions: Sequence[Prediction]) -> Counter[str]:
    return Counter(prediction.label for prediction in predictions)


def _ratios(counts: _Counts, weights: Floats) -> dict[str, Floats]:
    numbers = np.array(counts.counts, np.float32).reshape(-1, 3)
    objects, predicted, correct = (weights[:, counts.examples] @ numbers).T
    defined = np.where(objects > 0, np.float32(1), np.float32(np.nan))
    return {
        "recall": defined * correct / np.maximum(objects, 1),
        "precision": defined * correct / np.maximum(predicted, 1),
        "f1": defined * 2 * correct / np.maximum(objects + predicted, 1),
    }
