"""The batches of each epoch: reproducible from the seed, starting at any step."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from vott_trainer.learning import seeding
from vott_trainer.learning.batch_parts import Step, divide, part_size
from vott_trainer.learning.prefetch import decoded_ahead, prefetched
from vott_trainer.learning.sharding import chunked, shard
from vott_trainer.learning.tensors import map_tensors, pinned
from vott_trainer.plugin_api import Batch, Item, Learner, Ranks

MAX_MEASURED = 1000  # items, to find the largest


class Batches:
    """The steps of each epoch.

    Args:
        batch_size: items of this process in a step.
        parts: parts that the batch of a step is divided into; may be raised while the training runs.
        pin: whether the batches go to a GPU, and so into pinned memory.
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
        self._plugin, self._items, self._numbers = plugin, items, shard(len(items), ranks)
        self._batch_size, self._seed, self._rank, self._workers, self._pin = batch_size, seed, ranks.rank, workers, pin
        self.parts = parts

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return math.ceil(len(self._numbers) / self._batch_size)

    @property
    def part_size(self) -> int:
        """The number of items that go through the network together, at most."""
        return part_size(min(self._batch_size, len(self._numbers)), self.parts)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of one epoch from number `start` on; the next ones are prepared meanwhile."""
        steps = self._steps(epoch, self._chunks(epoch)[start:])
        # On a CPU, a thread that builds batches would take time from the network. Decoding ahead does not: it fills what the network's
        # threads leave idle.
        yield from prefetched(steps) if self._pin else steps

    def largest(self) -> Step:
        """Return a step of the items that are largest in any dimension: padding grows each item of a batch to them.

        Considers the first MAX_MEASURED items of the first epoch.
        """
        chunks = self._chunks(1, MAX_MEASURED)
        numbers = [number for chunk in chunks for number in chunk]
        sizes = [self._sizes(item) for items in self._decoded(chunks) for item in items]
        columns = list(itertools.zip_longest(*sizes, fillvalue=0))
        largest = [numbers[column.index(max(column))] for column in columns if max(column) > min(column)]
        chosen = list(dict.fromkeys(largest + numbers))[: self._batch_size]
        return self._step([self._items[number] for number in chosen], self._item_seeds(1, chosen))

    def divided(self, step: Step) -> Step:
        """Return the same step, divided into the current number of parts."""
        return self._step(step.items, step.seeds)

    def _chunks(self, epoch: int, count: int | None = None) -> list[list[int]]:
        """Return the item numbers of each step, from the first `count` items of the epoch."""
        return chunked(seeding.shuffled(self._numbers, self._seed, self._rank, epoch)[:count], self._batch_size)

    def _item_seeds(self, epoch: int, numbers: Sequence[int]) -> list[str]:
        return [seeding.item_seed(self._seed, self._rank, epoch, number) for number in numbers]

    def _sizes(self, item: Item) -> list[int]:
        """Return the lengths of all dimensions of all tensors in a batch of this item."""
        sizes: list[int] = []

        def add(tensor: Tensor) -> Tensor:
            sizes.extend(tensor.shape)
            return tensor

        map_tensors(self._plugin.batch([item], [seeding.generator(0)]), add)
        return sizes

    def _steps(self, epoch: int, chunks: Sequence[Sequence[int]]) -> Iterator[Step]:
        for chunk, items in zip(chunks, self._decoded(chunks), strict=True):
            yield self._step(items, self._item_seeds(epoch, chunk))

    def _decoded(self, chunks: Sequence[Sequence[int]]) -> Iterator[list[Item]]:
        return decoded_ahead(self._items, chunks, workers=self._workers, batch_size=self._batch_size)

    def _step(self, items: list[Item], seeds: list[str]) -> Step:
        parts = [self._part(items[part], seeds[part]) for part in divide(len(items), self.parts)]
        return Step(items, seeds, parts, self.parts)

    def _part(self, items: Sequence[Item], seeds: Sequence[str]) -> tuple[Batch, int]:
        batch = self._plugin.batch(items, [seeding.generator(seed) for seed in seeds])
        return pinned(batch) if self._pin else batch, len(items)
