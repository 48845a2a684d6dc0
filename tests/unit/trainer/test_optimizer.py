"""The optimizer's weight decay, and gradient clipping."""

import pytest
import torch
from torch import nn

from vott_trainer.learning.optimizer import adamw, clip_gradients


def test_weights_decay_by_a_hundredth_of_the_learning_rate() -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 1.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    adamw(model, 0.5).step()
    assert float(model.weight.detach()) == pytest.approx(1 - 0.5 * 0.01)


@pytest.mark.parametrize(("norm", "clipped"), [(9.0, 9.0), (40.0, 10.0)])
def test_norm_of_the_gradients_is_clipped_at_10(norm: float, clipped: float) -> None:
    model = nn.Linear(4, 1, bias=False)
    model.weight.grad = torch.full((1, 4), norm / 2)
    assert float(clip_gradients(model)) == pytest.approx(norm)
    assert float(model.weight.grad.norm()) == pytest.approx(clipped)
