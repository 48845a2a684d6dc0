"""The confusion matrix of a detector, and precision and recall of each class."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vott_trainer.plugin_api import Confusion, Example
from vott_trainer.plugin_api.evaluation import BACKGROUND
from vott_trainer.vision.matching import duplicates, match


def confusion_matrix(labels: Sequence[str], examples: Sequence[Example]) -> Confusion:
    """Count ground truth by predicted class over all examples, `background` last; duplicates are counted separately."""
    names = [*labels, BACKGROUND]
    number = {label: index for index, label in enumerate(labels)}  # a class may also be called background
    counts: NDArray[np.int64] = np.zeros((len(names), len(names)), np.int64)
    duplicate_counts: Counter[str] = Counter()
    for example in examples:
        pairs = match(example.truth, example.predictions)
        extra = set(found := duplicates(pairs))
        duplicate_counts.update(prediction.label for prediction in found)
        for truth, predicted in pairs:
            if truth or predicted not in extra:
                counts[number[truth.label] if truth else -1, number[predicted.label] if predicted else -1] += 1
    repeats = [duplicate_counts[label] for label in labels]
    return Confusion(names, counts.tolist(), with_background=True, repeated=repeats)


def class_metrics(confusion: Confusion, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall and count of each class; 0 without predictions or without objects.

    A duplicate lowers precision, as in COCO.
    """
    counts = np.array(confusion.counts)
    extra = confusion.repeated or [0] * len(labels)
    return {
        label: {
            "precision": _ratio(counts[index, index], counts[:, index].sum() + extra[index]),
            "recall": _ratio(counts[index, index], counts[index].sum()),
            "count": float(counts[index].sum()),
        }
        for index, label in enumerate(labels)
    }


def _ratio(part: np.int64, whole: np.int64) -> float:
    return float(part / whole) if whole else 0.0
