"""Gradient accumulation: the forward and backward passes of a step, one for each part of its batch."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vott_trainer.learning import distributed
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.mixed_precision import autocast
from vott_trainer.learning.tensors import to_device
from vott_trainer.plugin_api import Batch, Learner


def backward_parts(
    plugin: Learner, model: nn.Module, scaler: torch.GradScaler, step: Step, device: torch.device
) -> Iterator[Tensor]:
    """Add the gradients of each part, weighted by its items; yield its total loss and its classification loss, [2].

    Several processes average their gradients once, with the last part.
    """
    last = len(step.parts) - 1
    for number, (batch, size) in enumerate(step.parts):
        with contextlib.nullcontext() if number == last else distributed.without_sync(model):
            yield _backward(plugin, model, scaler, batch, size / len(step.items), device)


def _backward(
    plugin: Learner, model: nn.Module, scaler: torch.GradScaler, batch: Batch, weight: float, device: torch.device
) -> Tensor:
    with autocast(device):
        losses = plugin.loss(model, to_device(batch, device))
    total = torch.stack(list(losses.values())).sum()
    scaler.scale(total * weight).backward()  # type: ignore[no-untyped-call]
    return torch.stack((total, losses.get("classification", total))).detach().float() * weight
