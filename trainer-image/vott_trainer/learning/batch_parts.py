"""The division of a batch into parts, whose gradients are accumulated."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from vott_trainer.plugin_api import Batch, Item


@dataclass
class Step:
    """The batch of one step: the decoded items with a seed each, and the parts they make, each with its size, on the CPU."""

    items: list[Item]
    seeds: list[str]
    parts: list[tuple[Batch, int]]
    max_parts: int

    @property
    def names(self) -> list[str]:
        """The items' names, for messages."""
        return [item.name for item in self.items]


def part_size(items: int, parts: int) -> int:
    """Return the number of items in the largest of at most `parts` parts of `items` items."""
    return math.ceil(items / min(parts, items))


def divide(items: int, parts: int) -> Iterator[slice]:
    """Yield at most `parts` slices of a batch of `items` items, as equal as possible but for the last."""
    size = part_size(items, parts)
    return (slice(at, at + size) for at in range(0, items, size))
