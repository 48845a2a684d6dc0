"""Confidence intervals of a detector's and a classifier's metrics."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vott_trainer.plugin_api import Evaluation, Example, Interval, Intervals
from vott_trainer.vision.average_precision import AveragePrecision
from vott_trainer.vision.bootstrap import RESAMPLES, interval, resample
from vott_trainer.vision.class_ratios import resampled_ratios
from vott_trainer.vision.resampled_precision import resampled_precision

Values = NDArray[np.floating]


def detector_intervals(
    evaluation: Evaluation,
    examples: Sequence[Example],
    scenes: Sequence[Hashable],
    labels: Sequence[str],
    precision: AveragePrecision,
) -> Intervals:
    """Return the intervals of mAP50, mAP, and of the AP, AP50, precision and recall of each class; none if all images are of one scene.

    Args:
        evaluation: whose metrics these are.
        examples: all held-out images.
        scenes: the scene of each.
        labels: the classes.
        precision: of the same images.
    """
    if len(set(scenes)) < 2:
        return Intervals()
    weights = resample(scenes)
    nothing = np.zeros((RESAMPLES, 1))
    by_iou = resampled_precision(precision.coco, weights) if precision.coco else [nothing] * len(labels)
    aps = {
        label: {"AP": values.mean(axis=1), "AP50": values[:, 0]} for label, values in zip(labels, by_iou, strict=True)
    }
    values = {label: aps[label] | ratios for label, ratios in resampled_ratios(examples, weights, labels).items()}
    metrics = {
        "mAP50": _mean([one["AP50"] for one in aps.values()]),
        "mAP": _mean([one["AP"] for one in aps.values()]),
    }
    return _intervals(evaluation, metrics, values, examples, scenes)


def classifier_intervals(
    evaluation: Evaluation, examples: Sequence[Example], scenes: Sequence[Hashable], labels: Sequence[str]
) -> Intervals:
    """Return the intervals of accuracy and F1, and of the precision, recall and F1 of each class; none if all items are of one scene.

    Args:
        evaluation: whose metrics these are.
        examples: all held-out items.
        scenes: the scene of each.
        labels: the classes.
    """
    if len(set(scenes)) < 2:
        return Intervals()
    weights = resample(scenes)
    values = resampled_ratios(examples, weights, labels)
    correct = np.array([example.is_correct for example in examples], np.float32)
    metrics = {
        "accuracy": weights @ correct / weights.sum(axis=1),
        "f1": _mean([ratios["f1"] for ratios in values.values()]),
    }
    return _intervals(evaluation, metrics, values, examples, scenes)


def _intervals(
    evaluation: Evaluation,
    metrics: Mapping[str, Values],
    per_class: Mapping[str, Mapping[str, Values]],
    examples: Sequence[Example],
    scenes: Sequence[Hashable],
) -> Intervals:
    """Return an interval for each metric that was measured."""
    total = len(set(scenes))
    having: defaultdict[str, set[Hashable]] = defaultdict(set)
    for example, scene in zip(examples, scenes, strict=True):
        for one in example.truth:
            having[one.label].add(scene)
    return Intervals(
        {name: interval(values, evaluation.metrics[name], total) for name, values in metrics.items()},
        {
            label: _measured(values, evaluation.per_class.get(label, {}), len(having[label]))
            for label, values in per_class.items()
            if having[label]
        },
    )


def _measured(values: Mapping[str, Values], metrics: Mapping[str, float], scenes: int) -> dict[str, Interval]:
    return {name: interval(one, metrics[name], scenes) for name, one in values.items() if name in metrics}


def _mean(values: Sequence[Values]) -> Values:
    """Return the mean over the classes that a resample has; NaN if it has none."""
    stacked = np.stack(values)
    present = (~np.isnan(stacked)).sum(axis=0)
    mean: Values = np.nansum(stacked, axis=0) / np.where(present > 0, present, np.nan)
    return mean
