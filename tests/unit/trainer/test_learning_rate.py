"""The learning-rate schedule: warm-up, then cosine decay."""

import pytest

from vott_trainer.learning import learning_rate


def test_learning_rate_rises_and_decays_to_zero() -> None:
    factors = [learning_rate.factor(step, 100) for step in range(101)]
    assert max(factors) == 1.0
    assert factors[:15] == sorted(factors[:15])
    assert factors[15:] == sorted(factors[15:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-3)
