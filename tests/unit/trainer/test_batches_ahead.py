"""Decoding goes ahead of the batch that is learned from: so far and no further, with all threads, and with the same outcome."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from tests.unit.trainer.toy_learner import Point, ToyLearner
from vott_trainer.learning.batches import AHEAD, Batches, Step
from vott_trainer.process.ranks import Ranks

SIZE = 4


class Points(list[Point]):
    """Tells when an item is decoded."""

    def __init__(self, count: int, decode: Callable[[int], object]) -> None:
        super().__init__(Point(f"point {n}", torch.tensor((float(n), 0.0)), torch.tensor(0)) for n in range(count))
        self._decode = decode

    def __getitem__(self, index: Any) -> Any:
        self._decode(index)
        return super().__getitem__(index)


def epoch(points: Points, *, workers: int = 2, size: int = SIZE) -> Iterator[Step]:
    return Batches(ToyLearner(), points, batch_size=size, seed=3, ranks=Ranks(), workers=workers).epoch(1)


def test_next_batches_are_decoded_while_one_is_learned_from_and_no_others() -> None:
    decoded: list[int] = []
    steps = epoch(Points(40, decoded.append))
    for number in range(1, 4):
        next(steps)
        wanted, deadline = (number + AHEAD) * SIZE, time.monotonic() + 30
        while len(decoded) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(decoded) == wanted


def test_small_batches_keep_all_threads_busy() -> None:
    together = threading.Barrier(8)
    assert len(list(epoch(Points(16, lambda _index: together.wait(30)), workers=8, size=1))) == 16


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_batches_are_the_same_however_many_threads_decode_and_in_whatever_order(workers: int) -> None:
    def told(steps: Iterator[Step]) -> list[Any]:
        return [(step.names, step.seeds, [part["positions"].tolist() for part, _ in step.parts]) for step in steps]

    def slowly(index: int) -> None:
        time.sleep(0.003 * (index % 4))

    assert told(epoch(Points(22, slowly), workers=workers)) == told(epoch(Points(22, lambda _index: None)))


def test_an_epoch_that_is_left_early_decodes_no_more() -> None:
    decoded, go = list[int](), threading.Event()

    def decode(index: int) -> None:
        decoded.append(index)
        assert len(decoded) <= SIZE or go.wait(30)

    steps = epoch(Points(40, decode))
    next(steps)
    threading.Timer(0.05, go.set).start()
    steps.close()  # type: ignore[attr-defined]
    assert len(decoded) <= SIZE + 2  # those that a thread had begun
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
