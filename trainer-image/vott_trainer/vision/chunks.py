"""Held-out items in chunks: decoded ahead by several threads, and divided where the GPU's memory does not hold a chunk."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from vott_trainer.process.cpu_count import usable_cpus

T = TypeVar("T")
R = TypeVar("R")


def decoded(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield `size` items at a time, in order; the next ones are decoded meanwhile, and no others are held."""
    chunks = [range(start, min(start + size, len(items))) for start in range(0, len(items), size)]
    with ThreadPoolExecutor(usable_cpus(), "decode") as pool:
        coming = pool.map(items.__getitem__, chunks[0] if chunks else ())
        for chunk in [*chunks[1:], range(0)]:
            ready, coming = list(coming), pool.map(items.__getitem__, chunk)
            if ready:
                yield ready


def divided(compute: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
    """Return what `compute` makes of each item; it gets half of them at a time where the GPU's memory does not hold all.

    Raises:
        torch.OutOfMemoryError: it does not hold a single one.
    """
    try:
        return compute(items)
    except torch.OutOfMemoryError:
        if len(items) < 2:
            raise
    torch.cuda.empty_cache()  # here, where the exception no longer holds what was computed
    middle = len(items) // 2
    return [*divided(compute, items[:middle]), *divided(compute, items[middle:])]
