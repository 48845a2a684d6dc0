"""Cache of decoded images: in memory, with one size limit for all datasets of a process, and beyond it on disk."""

import functools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor

from vott_trainer.process.ranks import Ranks
from vott_trainer.vision.spool import Place, Spool

CACHE_BYTES = 2 << 30  # of all processes of a pod; images beyond it are on disk


class DecodedItem(Protocol):
    """A decoded item: a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

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


class _Spooled(NamedTuple, Generic[T]):
    """An item without its pixels, and where they are."""

    item: T
    place: Place


class DecodedCache(Generic[T]):
    """The items of one dataset: loaded on first access, by any thread, then kept in memory or on disk as long as there is space.

    Frees its memory when it is garbage collected.
    """

    def __init__(self, load: Callable[[int], T], memory: CacheMemory, spool: Spool | None = None) -> None:
        self._load, self._memory, self._spool, self._taken = load, memory, spool, 0
        self._items: dict[int, T] = {}
        self._spooled: dict[int, _Spooled[T]] = {}
        self._adding = threading.Lock()

    def __getitem__(self, index: int) -> T:
        item = self._items.get(index) or self._read(index)
        return self._added(index, self._load(index)) if item is None else item

    def _read(self, index: int) -> T | None:
        spooled = self._spooled.get(index)
        if not self._spool or not spooled:
            return None
        pixels = self._spool.read(spooled.place)
        return None if pixels is None else replace(spooled.item, pixels=pixels)

    def _added(self, index: int, item: T) -> T:
        size = item.pixels.nbytes
        with self._adding:  # another thread may have added the same item meanwhile
            if index in self._items or index in self._spooled:
                return item
            if self._memory.take(size):
                self._items[index] = item
                self._taken += size
                return item
        if self._spool and (place := self._spool.add(item.pixels)):
            self._spooled[index] = _Spooled(replace(item, pixels=item.pixels.new_empty(0)), place)
        return item

    def __del__(self) -> None:
        self._memory.give_back(self._taken)
