"""The processes that train one model together (DistributedDataParallel); a single process needs no torch.distributed."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vott_trainer.process.peer_messages import decode, encode

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return this process's rank."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def leads() -> bool:
    """Whether this process is rank 0."""
    return rank() == 0


def any_process(*flags: bool) -> list[bool]:
    """Return for each flag whether it is set in any process; every process must call this."""
    return [bool(value) for value in maxima(*map(int, flags))]


def maxima(*values: int) -> list[int]:
    """Return the largest of each value in all processes; every process must call this."""
    if not distributed.is_initialized():
        return list(values)
    reduced = torch.tensor(values)
    distributed.all_reduce(reduced, distributed.ReduceOp.MAX)
    return [int(value) for value in reduced]


def maximum(value: int) -> int:
    """Return the largest value of all processes; every process must call this."""
    return maxima(value)[0]


def summed(value: Tensor) -> Tensor:
    """Return the sum over all processes, on the same device and without waiting for a GPU; every process must call this."""
    reduced = value.clone()
    if distributed.is_initialized():
        distributed.all_reduce(reduced)
    return reduced


def barrier() -> None:
    """Wait until every process has called this."""
    maximum(0)


def gathered(message: T, kind: type[T]) -> list[T]:
    """Gather one message, a `kind`, from each process, in order of their ranks; every process must call this."""
    if not distributed.is_initialized():
        return [message]
    padded = _padded(message, kind)
    texts = [torch.empty_like(padded) for _ in range(world_size())]
    distributed.all_gather(texts, padded)
    return [_message(text, kind) for text in texts]


def collected(message: T, kind: type[T]) -> list[T]:
    """Gather as `gathered` does, but on rank 0 only; the others get an empty list; every process must call this."""
    if not distributed.is_initialized():
        return [message]
    padded = _padded(message, kind)
    texts = [torch.empty_like(padded) for _ in range(world_size())] if leads() else []
    distributed.gather(padded, texts or None)
    return [_message(text, kind) for text in texts]


def _padded(message: T, kind: type[T]) -> Tensor:
    """Encode a message as bytes, equally many in all processes."""
    text = encode(message, kind).encode()
    return torch.frombuffer(
        bytearray(text.ljust(maximum(len(text)))), dtype=torch.uint8
    )  # JSON allows spaces at the end


def _message(text: Tensor, kind: type[T]) -> T:
    return decode(text.numpy().tobytes().decode(), kind)


def broadcast_buffers(model: nn.Module) -> None:
    """Copy rank 0's buffers to all processes, as DDP does before each forward pass; every process must call this."""
    for buffer in model.buffers():
        distributed.broadcast(buffer, 0)


def wrapped(model: nn.Module) -> nn.Module:
    """Return the model to call in training: wrapped in DDP if there are several processes."""
    if not distributed.is_initialized():
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def without_sync(model: nn.Module) -> AbstractContextManager[Any]:
    """Return a context in which DDP accumulates gradients without averaging them over the processes."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()
