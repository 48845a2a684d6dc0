"""Decoding ahead: a bounded number of batches, with all threads, and with the same result."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from tests.unit.trainer.toy_learner import Point, ToyLearner
from vott_trainer.learning.batches import Batches, Step
from vott_trainer.learning.prefetch import AHEAD
from vott_trainer.process.ranks import Ranks

SIZE = 4


class Points(list[Point]):
    """Calls `decode` for each decoded item."""

    def __init__(self, count: int, decode: Callable[[int], object]) -> None:
        super().__init__(Point(f"point {n}", torch.tensor((float(n), 0.0)), torch.tensor(0)) for n in range(count))
        self._decode = decode

    def __getitem__(self, index: Any) -> Any:
        self._decode(index)
        return super().__getitem__(index)


def epoch(points: Points, *, workers: int = 2, size: int = SIZE) -> Iterator[Step]:
    return Batches(ToyLearner(), points, batch_size=size, seed=3, ranks=Ranks(), workers=workers).epoch(1)


def test_only_the_next_batches_are_decoded_ahead() -> None:
    decoded: list[int] = []
    steps = epoch(Points(40, decoded.append))
    for number in range(1, 4):
        next(steps)
        expected, deadline = (number + AHEAD) * SIZE, time.monotonic() + 30
        while len(decoded) < expected and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(decoded) == expected


def test_small_batches_keep_all_threads_busy() -> None:
    together = threading.Barrier(8)
    assert len(list(epoch(Points(16, lambda _index: together.wait(30)), workers=8, size=1))) == 16


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_batches_do_not_depend_on_the_number_of_threads(workers: int) -> None:
    def described(steps: Iterator[Step]) -> list[Any]:
        return [(step.names, step.seeds, [part["positions"].tolist() for part, _ in step.parts]) for step in steps]

    def slowly(index: int) -> None:
        time.sleep(0.003 * (index % 4))

    assert described(epoch(Points(22, slowly), workers=workers)) == described(epoch(Points(22, lambda _index: None)))


def test_epoch_that_stops_early_decodes_no_more() -> None:
    decoded, go = list[int](), threading.Event()

    def decode(index: int) -> None:
        decoded.append(index)
        assert len(decoded) <= SIZE or go.wait(30)

    steps = epoch(Points(40, decode))
    next(steps)
    threading.Timer(0.05, go.set).start()
    steps.close()  # type: ignore[attr-defined]
    assert len(decoded) <= SIZE + 2  # begun before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
