"""The optimizer's weight decay, and gradient clipping."""

import pytest
import torch
from torch import nn

from vott_trainer.learning.optimizer import adamw, clip_gradients


def test_weights_decay_but_not_biases_and_normalization() -> None:
    linear = nn.Linear(1, 1)
    model = nn.Sequential(linear, nn.BatchNorm1d(1))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1.0)
        parameter.grad = torch.zeros_like(parameter)
    adamw(model, 0.5).step()
    decayed = {name for name, parameter in model.named_parameters() if float(parameter.detach()) < 1}
    assert decayed == {"0.weight"}
    assert float(linear.weight.detach()) == pytest.approx(1 - 0.5 * 0.05)


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model[0].requires_grad_(requires_grad=False)
    assert sum(len(group["params"]) for group in adamw(model, 0.5).param_groups) == 2


@pytest.mark.parametrize(("norm", "clipped"), [(9.0, 9.0), (40.0, 10.0)])
def test_norm_of_the_gradients_is_clipped_at_10(norm: float, clipped: float) -> None:
    model = nn.Linear(4, 1, bias=False)
    model.weight.grad = torch.full((1, 4), norm / 2)
    assert float(clip_gradients(model)) == pytest.approx(norm)
    assert float(model.weight.grad.norm()) == pytest.approx(clipped)
