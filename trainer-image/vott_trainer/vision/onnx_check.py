"""Check of an ONNX export: the outputs of ONNX Runtime against those of PyTorch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vott_trainer.plugin_api.thresholds import MIN_SCORE

TOLERANCE = 1e-3  # of scores, of boxes in fractions of the image's longer side, and of masks in fractions of their area
MAX_COMPARED = 20  # best detections of an image
ENOUGH = 5  # detections; with fewer, further images are compared

Outputs = Sequence[NDArray[Any]]


class Agreement(NamedTuple):
    """The largest difference of two outputs, and the number of detections or images compared."""

    difference: float
    compared: int


class DifferentOutputError(Exception):
    """ONNX Runtime and PyTorch do not agree."""


def compare_detections(expected: Outputs, actual: Outputs, image: Tensor) -> Agreement:
    """Compare the best detections of either side with the nearest of the same class on the other side.

    Args:
        expected, actual: boxes, scores, labels, and masks if the network predicts them.
    """
    longest = max(image.shape[-2:])
    best, best_actual = _best(expected[1]), _best(actual[1])
    missed = _largest_difference(expected, best, actual, longest)
    added = _largest_difference(actual, best_actual, expected, longest)
    return Agreement(max(missed, added), len(best))


def compare_scores(expected: Outputs, actual: Outputs, _images: Tensor) -> Agreement:
    """Compare the scores of whole images."""
    return Agreement(float(np.abs(expected[0] - actual[0]).max()), len(expected[0]))


def _best(scores: NDArray[Any]) -> list[int]:
    """Return the indices of the best scores, without those so near the threshold that only one side may have them."""
    indices = np.argsort(-scores, kind="stable")[:MAX_COMPARED]
    return [int(index) for index in indices if not MIN_SCORE <= scores[index] < MIN_SCORE + TOLERANCE]


def _largest_difference(detections: Outputs, indices: Sequence[int], others: Outputs, longest: int) -> float:
    """Return the largest difference to the nearest of `others`; infinite if a class has none."""
    boxes, scores, labels = detections[:3]
    largest = 0.0
    for index in indices:
        same_class = np.flatnonzero(others[2] == labels[index])
        box_differences = np.abs(others[0][same_class] - boxes[index]).max(axis=1, initial=0) / longest
        differences = np.maximum(box_differences, np.abs(others[1][same_class] - scores[index]))
        largest = max(largest, float(differences.min(initial=np.inf)))
        if len(same_class) and len(detections) > 3:
            largest = max(largest, _mask_difference(detections[3][index], others[3][same_class[differences.argmin()]]))
    return largest


def _mask_difference(mask: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the summed difference of two masks [H, W], relative to the area of the first."""
    return float(np.abs(mask - other).sum() / max(1.0, float(mask.sum())))
