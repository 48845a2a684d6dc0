"""Batches made in the background: the same seed gives the same ones, wherever in the training one begins."""

import dataclasses
import itertools
import math
import queue
import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from vott_trainer.plugin_api import Batch, Item, Learner, Ranks

T = TypeVar("T")
AHEAD = 2  # batches that wait ready
LOOKED_AT = 1000  # items, for the largest ones


def share(items: Sequence[T], ranks: Ranks) -> list[int]:
    """Return the numbers of the items that one rank learns from: equally many on each, a few twice where they do not divide."""
    each = math.ceil(len(items) / ranks.world_size)
    return [(ranks.rank + number * ranks.world_size) % len(items) for number in range(each)]


def chunked(order: Sequence[int], size: int) -> list[list[int]]:
    """Return the numbers in chunks of `size`.

    One number left over goes with the first one, which is shown twice then: batch normalization can't learn from a single image.
    """
    chunks = [list(order[at : at + size]) for at in range(0, len(order), size)]
    if size > 1 and len(chunks) > 1 and len(chunks[-1]) == 1:
        chunks[-1].append(order[0])
    return chunks


@dataclass
class Step:
    """What one step learns from: the decoded items with a seed each, and the batches they make, each with its size, on the CPU."""

    items: list[Item]
    seeds: list[str]
    parts: list[tuple[Batch, int]]
    wanted_parts: int

    @property
    def names(self) -> list[str]:
        """The items' names, for messages."""
        return [item.name for item in self.items]


class Batches:
    """The steps of each epoch.

    Args:
        batch_size: items a step of this process.
        parts: into how many batches the items of a step are divided; may be raised while the training runs.
        pin: whether the batches go to a GPU, and so into memory that is copied from quickly.
    """

    def __init__(
        self,
        plugin: Learner,
        items: Sequence[Any],
        *,
        batch_size: int,
        seed: int,
        ranks: Ranks,
        workers: int,
        parts: int = 1,
        pin: bool = False,
    ) -> None:
        self._plugin, self._items, self._numbers = plugin, items, share(items, ranks)
        self._batch_size, self._seed, self._workers, self._pin = batch_size, f"{seed}/{ranks.rank}", workers, pin
        self.parts = parts

    def __len__(self) -> int:
        """Return the number of steps an epoch."""
        return math.ceil(len(self._numbers) / self._batch_size)

    @property
    def at_once(self) -> int:
        """The number of items that go through the network together, at most."""
        most = min(self._batch_size, len(self._numbers))
        return math.ceil(most / min(self.parts, most))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of one epoch, without the first `start` ones; the next ones are made meanwhile."""
        chunks = chunked(self._order(epoch), self._batch_size)
        steps = self._steps(epoch, chunks[start:])
        # Where the network itself needs the CPU, a thread that makes batches beside it only takes it away. Decoding goes ahead there too:
        # it fills what the network's threads leave idle, and is no more work.
        yield from ahead(steps) if self._pin else steps

    def largest(self) -> Step:
        """Return a step of the items that are the largest in any direction, for padding lets each item of a batch grow to them.

        These are found among the first LOOKED_AT ones that are shown.
        """
        chunks = chunked(self._order(1)[:LOOKED_AT], self._batch_size)
        numbers = [number for chunk in chunks for number in chunk]
        sizes = [self._sizes(item) for items in self._decoded(chunks) for item in items]
        columns = list(itertools.zip_longest(*sizes, fillvalue=0))
        largest = [numbers[column.index(max(column))] for column in columns if max(column) > min(column)]
        chosen = list(dict.fromkeys(largest + numbers))[: self._batch_size]
        return self._step([self._items[number] for number in chosen], [f"{self._seed}/1/{number}" for number in chosen])

    def divided(self, step: Step) -> Step:
        """Return the same step in as many parts as there are now."""
        return self._step(step.items, step.seeds)

    def _order(self, epoch: int) -> list[int]:
        return random.Random(f"{self._seed}/{epoch}").sample(self._numbers, len(self._numbers))  # noqa: S311 # nosec B311 # no secret

    def _sizes(self, item: Item) -> list[int]:
        """Return the lengths of all sides of all tensors in a batch of this item."""
        sizes: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            sizes.extend(tensor.shape)
            return tensor

        each_tensor(self._plugin.batch([item], [random.Random(0)]), note)  # noqa: S311 # nosec B311 # no secret
        return sizes

    def _steps(self, epoch: int, chunks: Sequence[Sequence[int]]) -> Iterator[Step]:
        for chunk, items in zip(chunks, self._decoded(chunks), strict=True):
            yield self._step(items, [f"{self._seed}/{epoch}/{number}" for number in chunk])

    def _decoded(self, chunks: Sequence[Sequence[int]]) -> Iterator[list[Item]]:
        """Yield the items of each chunk; threads decode those of the next ones meanwhile, as many as keep all of them busy."""
        rest, coming = iter(chunks), deque[list[Future[Item]]]()
        most = 1 + max(AHEAD, math.ceil(self._workers / self._batch_size))
        pool = ThreadPoolExecutor(self._workers, "decode")
        try:
            while True:
                for chunk in itertools.islice(rest, most - len(coming)):
                    coming.append([pool.submit(self._items.__getitem__, number) for number in chunk])
                if not coming:
                    return
                yield [future.result() for future in coming.popleft()]
        finally:
            pool.shutdown(cancel_futures=True)

    def _step(self, items: list[Item], seeds: list[str]) -> Step:
        wanted = self.parts
        size = math.ceil(len(items) / min(wanted, len(items)))
        starts = range(0, len(items), size)
        return Step(items, seeds, [self._part(items[at : at + size], seeds[at : at + size]) for at in starts], wanted)

    def _part(self, items: Sequence[Item], seeds: Sequence[str]) -> tuple[Batch, int]:
        batch = self._plugin.batch(items, [random.Random(seed) for seed in seeds])  # noqa: S311 # nosec B311 # variation, no secret
        return each_tensor(batch, Tensor.pin_memory) if self._pin else batch, len(items)


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on the device."""
    return each_tensor(batch, lambda tensor: tensor.to(device, non_blocking=True))


def each_tensor(value: Any, change: Any) -> Any:
    """Return `value` with every tensor in its lists, tuples, dicts and dataclasses changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: each_tensor(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [each_tensor(one, change) for one in value]
    if isinstance(value, tuple):
        changed = [each_tensor(one, change) for one in value]
        return type(value)(*changed) if hasattr(value, "_fields") else tuple(changed)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: each_tensor(one, change) for name, one in fields.items()})
    return value


def ahead(steps: Iterator[T]) -> Iterator[T]:
    """Yield what `steps` yields, made by a thread that is a few of them ahead; its error is raised here."""
    ready: queue.Queue[T | BaseException | None] = queue.Queue(AHEAD)
    enough = threading.Event()
    thread = threading.Thread(target=_fill, args=(steps, ready, enough), name="batches", daemon=True)
    thread.start()
    try:
        while (found := ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        enough.set()
        while thread.is_alive():  # it may wait for room
            while not ready.empty():
                ready.get_nowait()
            thread.join(0.01)


def _fill(steps: Iterator[T], ready: "queue.Queue[T | BaseException | None]", enough: threading.Event) -> None:
    try:
        for step in steps:
            ready.put(step)
            if enough.is_set():
                return
        ready.put(None)
    except BaseException as error:  # it is raised where the batches are used
        ready.put(error)
