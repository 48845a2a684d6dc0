"""COCO's average precision in each resample of a bootstrap: predictions are matched once, and accumulated again for each resample."""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_IOU = 1 - 1e-10  # COCOeval's limit of its IoU thresholds


class _Matches(NamedTuple):
    """Predictions of a class, by falling score: their images [N], whether they are correct at each IoU [T, N]; objects by image [I]."""

    images: NDArray[np.int64]
    correct: NDArray[np.bool_]
    objects: Floats


def resampled_precision(evaluation: Any, weights: NDArray[np.floating]) -> list[Floats]:
    """Return AP of each class, [resamples, IoU thresholds]; NaN in resamples without an object of the class.

    With weights of 1 it is faster-coco-eval's own.

    Args:
        evaluation: a COCOeval_faster after `evaluate`; images and classes are numbered from 1, and there are no crowds.
        weights: how often each image is drawn, [resamples, images].
    """
    recalls = np.asarray(evaluation.params.recThrs)
    return [_accumulated(_matches(evaluation, number), weights, recalls) for number in evaluation.params.catIds]


def _matches(evaluation: Any, category: int) -> _Matches:
    scores: defaultdict[int, list[float]] = defaultdict(list)
    for prediction in _annotations(evaluation.cocoDt, category):
        scores[prediction["image_id"]].append(prediction["score"])
    objects = np.zeros(len(evaluation.params.imgIds))
    for one in _annotations(evaluation.cocoGt, category):
        objects[one["image_id"] - 1] += 1
    thresholds = np.minimum(evaluation.params.iouThrs, _MOST_IOU)
    best = {image: np.sort(scores[image])[::-1][: evaluation.params.maxDets[-1]] for image in sorted(scores)}
    correct = [_correct(evaluation.ious[image, category], len(best[image]), thresholds) for image in best]
    images = [np.full(len(found), image - 1) for image, found in best.items()]
    order = np.argsort(-np.concatenate([*best.values(), np.zeros(0)]), kind="stable")
    return _Matches(
        np.concatenate([*images, np.zeros(0, np.int64)])[order],
        np.concatenate([*correct, np.zeros((len(thresholds), 0), np.bool_)], axis=1)[:, order],
        objects,
    )


def _annotations(coco: Any, category: int) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = coco.loadAnns(coco.getAnnIds(catIds=[category]))
    return annotations


def _correct(ious: Any, predictions: int, thresholds: Floats) -> NDArray[np.bool_]:
    """Match as COCO does: by falling score, each prediction takes the free object with the highest IoU, of equal ones the last.

    Args:
        ious: of each prediction with each object of its class in one image; empty without objects.
        predictions: their number.
        thresholds: IoU thresholds [T].

    Returns:
        Whether each prediction has an object, [T, predictions].
    """
    overlaps = np.reshape(ious, (predictions, -1))[:, ::-1]  # reversed: argmax finds the first
    free = np.ones((len(thresholds), overlaps.shape[1]), np.bool_)
    correct = np.zeros((len(thresholds), predictions), np.bool_)
    every = np.arange(len(thresholds))
    for number, row in enumerate(overlaps if overlaps.size else ()):
        candidates = np.where(free & (row >= thresholds[:, None]), row, -1.0)
        chosen = candidates.argmax(axis=1)
        correct[:, number] = candidates[every, chosen] >= 0
        free[every[correct[:, number]], chosen[correct[:, number]]] = False
    return correct


def _accumulated(matches: _Matches, weights: NDArray[np.floating], recalls: Floats) -> Floats:
    """Accumulate for each resample: the precision at 101 recalls, or the best one at a higher recall, on average."""
    precision = np.full((len(weights), len(matches.correct)), np.nan)
    for number, row in enumerate(weights):
        if objects := float(matches.objects @ row):
            drawn = row[matches.images].astype(np.float64)
            correct = np.cumsum(matches.correct * drawn, axis=1)
            predictions = np.maximum(np.cumsum(drawn), 1)
            best = np.maximum.accumulate((correct / predictions)[:, ::-1], axis=1)[:, ::-1]
            precision[number] = [_mean(*curve, recalls) for curve in zip(correct / objects, best, strict=True)]
    return precision


def _mean(recall: Floats, precision: Floats, recalls: Floats) -> float:
    """Return the mean precision at `recalls`; 0 at those that are not reached."""
    reached = np.searchsorted(recall, recalls)
    return float(precision[reached[reached < len(recall)]].sum() / len(recalls))
