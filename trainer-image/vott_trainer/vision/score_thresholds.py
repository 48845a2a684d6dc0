"""The score from which a detector's predictions of a class are shown: the one with the best F1 on the held-out images."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vott_trainer.plugin_api.thresholds import MIN_SCORE, MIN_SCORE_SHOWN
from vott_trainer.vision.average_precision import Outcomes

Floats = NDArray[np.float64]

STEP = 0.01
CANDIDATES: Floats = np.round(np.arange(MIN_SCORE, 0.95 + STEP / 2, STEP), 2)
WINDOW = 21  # candidates whose F1 is averaged: 0.1 to either side
POOLED_OBJECTS = 10  # of all classes together, counted with the objects of each class


def score_thresholds(outcomes: Mapping[str, Outcomes], labels: Sequence[str]) -> dict[str, float]:
    """Choose the threshold of each class, from MIN_SCORE to 0.95.

    On few objects, F1 as a function of the threshold is a staircase whose highest step is chance. So it is averaged over neighbouring
    thresholds, and 10 objects of all classes together count with those of the class: a class with few objects follows the others, one
    without any has their threshold. Of equally good thresholds, the middle one has the largest margin.

    Args:
        outcomes: the predictions of each class at IoU 0.50; empty if there are none.
        labels: all classes.

    Returns:
        A threshold for each of `labels`; MIN_SCORE_SHOWN if no prediction is correct.
    """
    nothing = np.zeros((3, len(CANDIDATES)))
    counts = {label: _counts(outcomes[label]) if label in outcomes else nothing for label in labels}
    pooled: Floats = sum(counts.values(), nothing)
    correct, _, objects = pooled
    if not correct.any():
        return dict.fromkeys(labels, MIN_SCORE_SHOWN)
    return {label: _best(counts[label] + pooled * POOLED_OBJECTS / objects) for label in labels}


def _counts(outcomes: Outcomes) -> Floats:
    """Count correct predictions, all predictions, and objects at each candidate: [3, candidates]."""
    correct, predictions = _at_least(outcomes.scores[outcomes.correct]), _at_least(outcomes.scores)
    return np.stack([correct, predictions, np.full(len(CANDIDATES), float(outcomes.objects))])


def _at_least(scores: Floats) -> Floats:
    """Count the scores at or above each candidate."""
    return (len(scores) - np.searchsorted(np.sort(scores), CANDIDATES)).astype(np.float64)


def _best(counts: Floats) -> float:
    correct, predictions, objects = counts
    f1 = 2 * correct / (predictions + objects)
    smooth = np.convolve(np.pad(f1, WINDOW // 2, mode="edge"), np.full(WINDOW, 1 / WINDOW), mode="valid")
    highest = np.flatnonzero(smooth > smooth.max() - 1e-9)
    return float(CANDIDATES[highest[len(highest) // 2]])
