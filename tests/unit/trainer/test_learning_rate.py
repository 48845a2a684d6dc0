"""The learning-rate schedule: warm-up, then cosine decay."""

import pytest

from vott_trainer.learning import learning_rate


def test_learning_rate_rises_and_decays_to_zero() -> None:
    factors = [learning_rate.factor(step, 100) for step in range(101)]
    assert factors[:3] == pytest.approx([1 / 15, 2 / 15, 3 / 15])
    assert max(factors) == factors[14] == factors[15] == 1.0
    assert factors[57:59] == pytest.approx([0.5, 0.5], abs=0.02)
    assert factors[:15] == sorted(factors[:15])
    assert factors[15:] == sorted(factors[15:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-3)
