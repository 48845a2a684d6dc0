"""Random numbers of shuffling, augmentation and torch: they follow from seed, rank, epoch and step, so a checkpoint needs none."""

import hashlib
import random
from collections.abc import Sequence

import torch


def shuffled(numbers: Sequence[int], seed: int, rank: int, epoch: int) -> list[int]:
    """Return the item numbers of a rank in the order of an epoch."""
    return generator(f"{seed}/{rank}/{epoch}").sample(numbers, len(numbers))


def item_seed(seed: int, rank: int, epoch: int, number: int) -> str:
    """Return the seed of an item's augmentation in an epoch."""
    return f"{seed}/{rank}/{epoch}/{number}"


def generator(seed: str | int) -> random.Random:
    """Return a random number generator."""
    return random.Random(seed)  # noqa: S311 # nosec B311 # augmentation, no secret


def seed_step(seed: int, rank: int, epoch: int, step: int) -> None:
    """Seed torch for a step, for dropout and the like."""
    text = f"{seed}/{rank}/{epoch}/{step}"
    torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1)
