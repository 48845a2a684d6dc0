"""Which scenes are held out: chosen by a hash, then changed as little as needed so that each class is trained on and measured.

The hash decides for itself, so a data set that grows leaves nearly all of its images where they were. The changes follow the idea of
iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-label Data", 2011): rare classes first.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TOLERANCE = 0.25  # of the held-out share: how far a class may be from it
PASSES = 20

Cost = tuple[int, int, int, float]


def held_out(scenes: Mapping[bytes, Counter[str | None]], fraction: float) -> set[bytes]:
    """Choose the scenes to hold out.

    Args:
        scenes: by a key that is the same in every run, each scene's number of items by class; None counts items without a class.
        fraction: of the items.

    Returns:
        Keys. Each class with two or more scenes is on both sides if that is possible, with a share close to `fraction`.
    """
    split = _Split(scenes, fraction)
    for _ in range(PASSES):
        moved = sum(map(split.improve, split.order))
        if not moved:
            break
    return split.held_out


@dataclass
class _Tally:
    """Scenes and items of a class, and how many of them are held out."""

    scenes: int = 0
    items: int = 0
    held_out_scenes: int = 0
    held_out_items: int = 0

    @property
    def is_one_sided(self) -> bool:
        """Whether it could be on both sides, and is not."""
        return self.scenes > 1 and self.held_out_scenes in (0, self.scenes)

    @property
    def is_untrained(self) -> bool:
        """Whether its only scene is held out."""
        return self.scenes == 1 and self.held_out_scenes == 1

    def excess(self, fraction: float) -> float:
        """Return how far its share is from `fraction`, beyond the tolerance."""
        distance = abs(self.held_out_items / self.items - fraction)
        return max(0.0, distance - TOLERANCE * min(fraction, 1 - fraction))


class _Split:
    """A split, and what moving a scene to the other side would change."""

    def __init__(self, scenes: Mapping[bytes, Counter[str | None]], fraction: float) -> None:
        self._scenes, self._fraction = scenes, fraction
        self._any, self._classes = _Tally(), defaultdict[str | None, _Tally](_Tally)  # of any class, and of each
        self.held_out = {key for key in scenes if _position(key) < fraction}
        self.order = sorted(scenes, key=lambda key: (abs(_position(key) - fraction), key))  # the smallest change first
        for key, counts in scenes.items():
            for tally, count in self._tallies(counts):
                tally.scenes += 1
                tally.items += count
            if key in self.held_out:
                self._count(key, 1)

    def improve(self, key: bytes) -> bool:
        """Move a scene to the other side if that is better."""
        sign = -1 if key in self.held_out else 1
        before = self._cost(key)
        self._count(key, sign)
        if self._cost(key) < before:
            self.held_out ^= {key}
            return True
        self._count(key, -sign)
        return False

    def _tallies(self, counts: Counter[str | None]) -> Iterator[tuple[_Tally, int]]:
        yield from ((self._classes[label], count) for label, count in counts.items())
        if labelled := counts.total() - counts[None]:
            yield self._any, labelled

    def _count(self, key: bytes, sign: int) -> None:
        for tally, count in self._tallies(self._scenes[key]):
            tally.held_out_scenes += sign
            tally.held_out_items += sign * count

    def _cost(self, key: bytes) -> Cost:
        """Rate the split, the worst first: nothing to train on or to measure; the same for a class; a class's only scene held out; shares.

        Only the classes of the scene count: its side does not matter to others.
        """
        tallies = [tally for tally, _ in self._tallies(self._scenes[key])]
        classes = [tally for tally in tallies if tally is not self._classes.get(None)]
        shares = sum(tally.excess(self._fraction) for tally in tallies if tally.scenes > 1)
        one_sided = sum(tally.is_one_sided for tally in classes)
        return int(self._any.is_one_sided), one_sided, sum(tally.is_untrained for tally in classes), round(shares, 9)


def _position(key: bytes) -> float:
    """Return a scene's place from 0 to 1, evenly distributed."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) / 2**64
