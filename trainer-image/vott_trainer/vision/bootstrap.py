"""Confidence intervals of metrics: the bootstrap over scenes.

Measured on other images, a metric would come out differently. The bootstrap (Efron, 1979) draws as many scenes as were held out, with
replacement, and measures again; images of one scene are drawn together, as they are no independent evidence.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from vott_trainer.plugin_api import Interval

RESAMPLES = 200
CONFIDENCE = 0.95
_TAIL = 100 * (1 - CONFIDENCE) / 2  # percent

Floats = NDArray[np.float32] | NDArray[np.float64]


def resample(scenes: Sequence[Hashable]) -> NDArray[np.float32]:
    """Return how often each item is drawn, [RESAMPLES, items], the same in every run; `scenes` has each item's scene."""
    numbers = {scene: number for number, scene in enumerate(dict.fromkeys(scenes))}
    total = max(1, len(numbers))
    draws = np.random.default_rng(0).multinomial(total, np.full(total, 1 / total), RESAMPLES)
    return draws.astype(np.float32)[:, [numbers[scene] for scene in scenes]]


def interval(values: NDArray[np.floating], measured: float, scenes: int) -> Interval:
    """Return the interval of a metric from 0 to 1: the percentiles of the resamples, around the measured value.

    They are centred because AP is higher by chance where images are drawn repeatedly.

    If every resample is perfect, or none has anything right, the rule of three applies: what was not seen in n scenes occurs in up to 3/n
    of them (Hanley and Lippman-Hand, "If Nothing Goes Wrong, Is Everything All Right?", 1983).

    Args:
        values: the metric in each resample; NaN where it can't be measured.
        measured: the metric on all held-out items.
        scenes: on which the metric rests.
    """
    usable = values[~np.isnan(values)]
    if not len(usable):
        return Interval(0.0, 1.0)
    rare = min(1.0, 3 / max(1, scenes))
    if usable.min() == 1:
        return Interval(1 - rare, 1.0)
    if usable.max() == 0:
        return Interval(0.0, rare)
    centred = np.clip(usable - usable.mean() + measured, 0, 1)
    low, high = (float(bound) for bound in np.percentile(centred, (_TAIL, 100 - _TAIL)))
    return Interval(min(low, measured), max(high, measured))
