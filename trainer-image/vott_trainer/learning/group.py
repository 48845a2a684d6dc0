"""The processes that learn one model together, through torch.distributed; a process alone is a group of one."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vott_trainer.process.peer_messages import decode, encode

T = TypeVar("T")


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def leads() -> bool:
    """Whether this process is rank 0."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def anywhere(*here: bool) -> list[bool]:
    """Return for each statement whether it holds in any of the processes; all must ask."""
    if not distributed.is_initialized():
        return list(here)
    told = torch.tensor([int(one) for one in here])
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return [bool(one) for one in told]


def most(here: int) -> int:
    """Return the greatest of the processes' numbers; all must ask."""
    if not distributed.is_initialized():
        return here
    told = torch.tensor(here)
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return int(told)


def all_of(here: T, kind: type[T]) -> list[T]:
    """Gather one message, a `kind`, from each process, in order of their ranks; every process must call this."""
    if not distributed.is_initialized():
        return [here]
    text = encode(here, kind).encode()
    padded = torch.frombuffer(
        bytearray(text.ljust(most(len(text)))), dtype=torch.uint8
    )  # JSON allows spaces at the end
    gathered = [torch.empty_like(padded) for _ in range(size())]
    distributed.all_gather(gathered, padded)
    return [decode(bytes(one.tolist()).decode(), kind) for one in gathered]


def wrapped(model: nn.Module) -> nn.Module:
    """Return what to call in training: the model itself, or what also averages the gradients of all processes."""
    if not distributed.is_initialized():
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def without_sync(model: nn.Module) -> AbstractContextManager[Any]:
    """Return the context in which gradients only add up, to be averaged with the next ones."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()
