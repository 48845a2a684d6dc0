"""Decoded images that stay in memory: all data sets of one process share the room that there is."""

import functools
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from vott_trainer.process.ranks import Ranks

CACHE_BYTES = 2 << 30  # of the processes of one pod together; images beyond it are decoded again each epoch


class Pictured(Protocol):
    """One item, decoded."""

    @property
    def pixels(self) -> Tensor:
        """Nearly all the memory that it takes."""


P = TypeVar("P", bound=Pictured)


class Memory:
    """So many bytes, for all who share it."""

    def __init__(self, size: int) -> None:
        self._free, self._changing = size, threading.Lock()

    def take(self, size: int) -> bool:
        """Return whether there was room for that."""
        with self._changing:
            fits = size <= self._free
            self._free -= size if fits else 0
            return fits

    def give_back(self, size: int) -> None:
        """Make room again."""
        with self._changing:
            self._free += size


@functools.cache
def shared() -> Memory:
    """Return this process' part of CACHE_BYTES: training and held-out images together are kept in it."""
    return Memory(CACHE_BYTES // Ranks.from_environment().local_world_size)


class Kept(Generic[P]):
    """The items of one data set: loaded when first asked for, by whatever thread, then kept while there is room.

    What it takes of `memory` is free again when it is gone.
    """

    def __init__(self, load: Callable[[int], P], memory: Memory) -> None:
        self._load, self._memory, self._taken = load, memory, 0
        self._items: dict[int, P] = {}
        self._adding = threading.Lock()

    def __getitem__(self, index: int) -> P:
        item = self._items.get(index)
        return self._added(index, self._load(index)) if item is None else item

    def _added(self, index: int, item: P) -> P:
        size = item.pixels.nbytes
        with self._adding:  # another thread may have loaded the same one meanwhile
            if index not in self._items and self._memory.take(size):
                self._items[index] = item
                self._taken += size
        return item

    def __del__(self) -> None:
        self._memory.give_back(self._taken)
