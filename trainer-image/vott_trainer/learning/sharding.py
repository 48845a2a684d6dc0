"""Distribution of the training items: to the processes, and to the batches of an epoch."""

import math
from collections.abc import Sequence

from vott_trainer.plugin_api import Ranks


def shard(count: int, ranks: Ranks) -> list[int]:
    """Return the item numbers of this rank. All ranks get equally many; a few items are repeated if they do not divide evenly."""
    each = math.ceil(count / ranks.world_size)
    return [(ranks.rank + number * ranks.world_size) % count for number in range(each)]


def chunked(order: Sequence[int], size: int) -> list[list[int]]:
    """Divide item numbers into batches of `size`.

    If the last batch has a single item, the first item is added to it: batch normalization can't train on one image.
    """
    chunks = [list(order[at : at + size]) for at in range(0, len(order), size)]
    if size > 1 and len(chunks) > 1 and len(chunks[-1]) == 1:
        chunks[-1].append(order[0])
    return chunks
