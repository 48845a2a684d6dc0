"""Detectors that are small enough to build and train in a test."""

import torch
from torch import nn

from vott_trainer.vision import detectors

HEADS = detectors.DETECTORS["fcos_tiny"].heads


def tiny_fcos(seed: int, *labels: str) -> nn.Module:
    """An fcos_tiny with weights from `seed`; its heads are HEADS."""
    torch.manual_seed(seed)
    return detectors.build("fcos_tiny", len(labels), 96)


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have equal weights, bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
