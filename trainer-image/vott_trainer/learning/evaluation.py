"""When the model is evaluated, and an evaluation that SIGTERM can interrupt."""

import math
from collections.abc import Callable
from typing import TypeVar

from torch import nn

from vott_trainer.plugin_api import Interruption

T = TypeVar("T")

MAX_EVALUATIONS = 8
MAX_EVALUATIONS_TO_STOP_EARLY = 20


def is_due(epoch: int, epochs: int, *, stops_early: bool) -> bool:
    """Whether to evaluate after `epoch` of `epochs`: always after the last."""
    most = MAX_EVALUATIONS_TO_STOP_EARLY if stops_early else MAX_EVALUATIONS
    return epoch == epochs or epoch % math.ceil(epochs / most) == 0


def interruptible(model: nn.Module, evaluate: Callable[[nn.Module], T], interruption: Interruption) -> T:
    """Evaluate the model, checking for SIGTERM before each batch.

    Raises:
        InterruptedTrainingError: SIGTERM has arrived.
    """
    hook = model.register_forward_pre_hook(lambda *_: interruption.check())
    try:
        return evaluate(model)
    finally:
        hook.remove()
