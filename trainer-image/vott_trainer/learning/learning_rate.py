"""Learning-rate schedule: linear warm-up, then a cosine decay to zero (Loshchilov and Hutter, arXiv:1608.03983)."""

import math

from torch.optim import Optimizer

WARM_UP = 0.1  # share of the training
START = 0.001  # factor at the very beginning
PEAK = "peak_lr"  # in the optimizer's parameter groups


def set_learning_rate(optimizer: Optimizer, progress: float) -> None:
    """Set the learning rate of each parameter group, whose peak is in `PEAK`; `progress` of the training is 0 to 1."""
    for group in optimizer.param_groups:
        group["lr"] = group[PEAK] * factor(progress)


def factor(progress: float) -> float:
    """Return the fraction of the peak learning rate at a progress of 0 to 1."""
    if progress < WARM_UP:
        return START + (1 - START) * progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))
