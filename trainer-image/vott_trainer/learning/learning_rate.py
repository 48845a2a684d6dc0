"""Learning-rate schedule: linear warm-up, then a cosine decay to zero (Loshchilov and Hutter, arXiv:1608.03983)."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

WARM_UP = 0.15  # share of the steps


def warm_up_and_cosine(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Return the schedule over `steps`; the optimizer's learning rate is the peak."""
    return LambdaLR(optimizer, lambda step: factor(step, steps))


def factor(step: int, steps: int) -> float:
    """Return the fraction of the peak learning rate at `step`, counted from 0."""
    rise = max(1, round(steps * WARM_UP))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))
