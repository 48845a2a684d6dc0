"""The moving average of the weights."""

import pytest
import torch
from torch import nn

from vott_trainer.learning.ema import ExponentialMovingAverage


def averages(decay: float, values: list[float]) -> list[float]:
    """The averaged weight after each value of it."""
    model = nn.Linear(1, 1)
    ema, averaged = ExponentialMovingAverage(model, decay), []
    for value in values:
        nn.init.constant_(model.weight, value)
        ema.update(model)
        averaged.append(ema.model.weight.item())  # type: ignore[operator]
    return averaged


def test_first_weights_are_taken_whole_and_later_ones_with_less_decay_at_first() -> None:
    assert averages(0.998, [3.0, 14.0, 3.0]) == pytest.approx([3, 3 + 9 / 11 * 11, 12 - 3 / 4 * 9])


def test_decay_is_the_most_that_older_weights_keep() -> None:
    assert averages(0.1, [0.0, 1.0, 1.0]) == pytest.approx([0, 0.9, 0.99])


def test_batch_statistics_are_averaged_and_counters_copied() -> None:
    model = nn.BatchNorm1d(1)
    ema = ExponentialMovingAverage(model, 0.1)
    for mean in (0.0, 1.0):
        nn.init.constant_(model.running_mean, mean)  # type: ignore[arg-type]
        model.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        ema.update(model)
    assert float(ema.model.running_mean) == pytest.approx(0.9)  # type: ignore[arg-type]
    assert torch.equal(ema.model.num_batches_tracked, torch.tensor(2))  # type: ignore[arg-type]
