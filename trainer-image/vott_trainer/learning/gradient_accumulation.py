"""Gradient accumulation: the forward and backward passes of a step, one for each part of its batch.

Sums are accumulated and divided once, by the weight of the whole step. Means of the parts, or of each process's share, would not add
up to the mean of the step unless all have the same weight.
"""

import contextlib

import torch
from torch import Tensor, nn

from vott_trainer.learning import distributed
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.mixed_precision import autocast
from vott_trainer.learning.tensors import to_device
from vott_trainer.plugin_api import Batch, Learner, SummedLosses


def backward_parts(
    plugin: Learner, model: nn.Module, scaler: torch.GradScaler, step: Step, device: torch.device
) -> Tensor:
    """Compute the gradients of the summed losses of all parts, divided by the number of items only.

    Several processes average their gradients once, with the last part.

    Returns:
        Sums over the parts of this process, [3]: total loss, classification loss and weight.
    """
    last, sums = len(step.parts) - 1, []
    for number, (batch, size) in enumerate(step.parts):
        with contextlib.nullcontext() if number == last else distributed.without_sync(model):
            sums.append(_backward(plugin, model, scaler, batch, size, len(step.items), device))
    return torch.stack(sums).sum(dim=0)


def normalize(model: nn.Module, sums: Tensor, items: int) -> Tensor:
    """Divide the gradients by the weight of the step; every process must call this, after the scale of the loss is taken back.

    Args:
        sums: what `backward_parts` returned.
        items: of the step in this process; equally many in each.

    Returns:
        Total loss and classification loss of this process, [2], divided likewise.
    """
    factor = distributed.world_size() / distributed.summed(sums[2]).clamp(min=1)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    torch._foreach_mul_(gradients, factor * items)
    return sums[:2] * factor


def _backward(
    plugin: Learner,
    model: nn.Module,
    scaler: torch.GradScaler,
    batch: Batch,
    size: int,
    items: int,
    device: torch.device,
) -> Tensor:
    with autocast(device):
        losses = plugin.loss(model, to_device(batch, device))
    if not isinstance(losses, SummedLosses):
        weight = torch.full((), size, device=device)  # unlike torch.tensor, does not wait for the GPU
        losses = SummedLosses({name: mean * size for name, mean in losses.items()}, weight)
    total = torch.stack(list(losses.terms.values())).sum()
    # Divided by what all processes know without asking: in float16, gradients of large sums would be infinite.
    scaler.scale(total / items).backward()  # type: ignore[no-untyped-call]
    return torch.stack((total, losses.terms.get("classification", total), losses.weight)).detach().float()
