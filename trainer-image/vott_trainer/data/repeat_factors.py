"""Repeat-factor sampling: images with rare classes are shown more often (Gupta et al., 2019, arXiv:1908.03195, appendix B)."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T", covariant=True)

RARE = 0.1  # share of the images; a class in fewer of them is repeated
MOST = 4.0  # or a single mislabelled image would be shown all the time


def repeat_factors(classes: Sequence[Collection[str]], rare: float = RARE) -> list[float]:
    """Return how often each image should be shown in an epoch, from the classes in each: 1, or up to MOST for its rarest class.

    Relative to the most frequent class, unlike the paper: many classes of equal frequency are not rare.
    """
    counts = Counter(label for labels in classes for label in set(labels))
    factors = {label: max(1.0, math.sqrt(rare * len(classes) / count)) for label, count in counts.items()}
    least = min(factors.values(), default=1.0)
    return [min(MOST, max((factors[label] for label in labels), default=least) / least) for labels in classes]


class Oversampled(Sequence[T]):
    """A sequence with some items repeated; each is in it at least once.

    Fractions are carried over to the next item, so that all repetitions add up.
    """

    def __init__(self, items: Sequence[T], factors: Sequence[float]) -> None:
        self._items, self._numbers = items, list(_repeated(factors))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> T:  # type: ignore[override] # no slices
        return self._items[self._numbers[number]]


def _repeated(factors: Sequence[float]) -> Iterator[int]:
    rest = 0.0
    for number, factor in enumerate(factors):
        rest += factor
        count = max(1, math.floor(rest + 1e-9))
        rest -= count
        yield from [number] * count
