"""Cache of decoded images in memory, with one size limit for all datasets of a process."""

import functools
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from vott_trainer.process.ranks import Ranks

CACHE_BYTES = 2 << 30  # of all processes of a pod; images beyond it are decoded again in each epoch


class DecodedItem(Protocol):
    """A decoded item."""

    @property
    def pixels(self) -> Tensor:
        """Nearly all of its memory."""


T = TypeVar("T", bound=DecodedItem)


class CacheMemory:
    """A number of bytes that several caches share."""

    def __init__(self, size: int) -> None:
        self._free, self._changing = size, threading.Lock()

    @property
    def free(self) -> int:
        """Bytes left."""
        return self._free

    def take(self, size: int) -> bool:
        """Take `size` bytes; False if they are not free."""
        with self._changing:
            fits = size <= self._free
            self._free -= size if fits else 0
            return fits

    def give_back(self, size: int) -> None:
        """Free `size` bytes."""
        with self._changing:
            self._free += size


@functools.cache
def shared_memory() -> CacheMemory:
    """Return this process's share of CACHE_BYTES, for training and held-out images together."""
    return CacheMemory(CACHE_BYTES // Ranks.from_environment().local_world_size)


class DecodedCache(Generic[T]):
    """The items of one dataset: loaded on first access, by any thread, then kept as long as `memory` has space.

    Frees its memory when it is garbage collected.
    """

    def __init__(self, load: Callable[[int], T], memory: CacheMemory) -> None:
        self._load, self._memory, self._taken = load, memory, 0
        self._items: dict[int, T] = {}
        self._adding = threading.Lock()

    def __getitem__(self, index: int) -> T:
        item = self._items.get(index)
        return self._added(index, self._load(index)) if item is None else item

    def _added(self, index: int, item: T) -> T:
        size = item.pixels.nbytes
        with self._adding:  # another thread may have added the same item meanwhile
            if index not in self._items and self._memory.take(size):
                self._items[index] = item
                self._taken += size
        return item

    def __del__(self) -> None:
        self._memory.give_back(self._taken)
