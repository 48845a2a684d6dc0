"""Batches of held-out items: decoded ahead by several threads, and halved when a GPU runs out of memory."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from vott_trainer.process.cpu_count import usable_cpus

T = TypeVar("T")
R = TypeVar("R")


def decoded_batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield `size` items at a time, in order; threads decode the next batch meanwhile, and no others are held."""
    batches = [range(start, min(start + size, len(items))) for start in range(0, len(items), size)]
    with ThreadPoolExecutor(usable_cpus(), "decode") as pool:
        pending = pool.map(items.__getitem__, batches[0] if batches else ())
        for batch in [*batches[1:], range(0)]:
            decoded, pending = list(pending), pool.map(items.__getitem__, batch)
            if decoded:
                yield decoded


def halved_on_out_of_memory(compute: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
    """Return `compute(items)`, in halves as long as a GPU's memory does not hold all items.

    Raises:
        torch.OutOfMemoryError: it does not hold a single item.
    """
    try:
        return compute(items)
    except torch.OutOfMemoryError:
        if len(items) < 2:
            raise
    torch.cuda.empty_cache()  # not in the handler: there the exception still holds the tensors
    middle = len(items) // 2
    return [*halved_on_out_of_memory(compute, items[:middle]), *halved_on_out_of_memory(compute, items[middle:])]
