"""The learning-rate schedule: warm-up, then cosine decay."""

import pytest
from torch import nn

from vott_trainer.learning import learning_rate
from vott_trainer.learning.optimizer import PRETRAINED, adamw


def test_learning_rate_rises_and_decays_to_zero() -> None:
    factors = [learning_rate.factor(percent / 100) for percent in range(101)]
    assert factors[:3] == pytest.approx([0.001, 0.1009, 0.2008])
    assert max(factors) == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-9)


def test_each_parameter_group_keeps_its_share_of_the_rate() -> None:
    model = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    optimizer = adamw(model, 0.1, ["backbone."])
    for progress, expected in ((0.1, 0.1), (0.55, 0.05), (1.0, 0.0)):
        learning_rate.set_learning_rate(optimizer, progress)
        rates = {group["lr"] for group in optimizer.param_groups}
        assert sorted(rates) == pytest.approx(sorted({expected * PRETRAINED, expected}), abs=1e-12)
