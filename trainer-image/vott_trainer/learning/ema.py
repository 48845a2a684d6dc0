"""Exponential moving average (EMA) of the weights, which becomes the model."""

import copy
from typing import Any

import torch
from torch import nn


class ExponentialMovingAverage:
    """The moving average of a model's weights and batch statistics, with less decay in the first steps.

    torch's AveragedModel reads its count from the GPU, and so waits for the GPU in each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self._decay, self._count = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Update the average with the current weights."""
        share = 1 - min(self._decay, (1 + self._count) / (10 + self._count)) if self._count else 1.0
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), share)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            if buffer.is_floating_point():  # batch statistics belong to the weights they were made with
                average.lerp_(buffer, share)
            else:
                average.copy_(buffer)
        self._count += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the state for `load_state_dict`."""
        return {"model": self.model.state_dict(), "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self.model.load_state_dict(state["model"])
        self._count = state["count"]
