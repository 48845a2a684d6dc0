"""The learning rate over a training: a linear rise, then half a cosine down to nothing (Loshchilov and Hutter, arXiv:1608.03983)."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

WARM_UP = 0.15  # share of the steps in which the learning rate rises


def cosine(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Return the schedule over that many steps; the optimizer's learning rate is the highest one."""
    return LambdaLR(optimizer, lambda step: factor(step, steps))


def factor(step: int, steps: int) -> float:
    """Return the share of the highest learning rate for step number `step`, counted from 0."""
    rise = max(1, round(steps * WARM_UP))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))
