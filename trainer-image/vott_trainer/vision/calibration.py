"""Calibration: how often predictions with a score are correct (Guo et al., 2017, arXiv:1706.04599)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vott_trainer.plugin_api import ReliabilityPoint
from vott_trainer.vision.average_precision import Outcomes

BINS = 10  # of equal width, from 0 to 1


def reliability(scores: NDArray[np.floating], correct: NDArray[np.bool_]) -> list[ReliabilityPoint]:
    """Summarize predictions in bins of their scores, 0 to 0.1, 0.1 to 0.2 …; without empty bins.

    Args:
        scores: [N], 0 to 1.
        correct: whether each is correct, [N].
    """
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    return [
        ReliabilityPoint(float(scores[inside].mean()), float(correct[inside].mean()), int(inside.sum()))
        for number in range(BINS)
        if (inside := bins == number).any()
    ]


def detector_reliability(outcomes: Mapping[str, Outcomes], thresholds: Mapping[str, float]) -> list[ReliabilityPoint]:
    """Summarize a detector's predictions from the thresholds of their classes on; a duplicate is not correct."""
    shown = [(one, one.scores >= thresholds[label]) for label, one in outcomes.items()]
    if not shown:
        return []
    scores, correct = (
        np.concatenate([getattr(one, name)[kept] for one, kept in shown]) for name in ("scores", "correct")
    )
    return reliability(scores, correct)
