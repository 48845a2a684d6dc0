"""Decoding ahead: a bounded number of batches, with all threads, and with the same result."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
import torch

from tests.unit.trainer.toy_learner import Point, ToyLearner
from vott_trainer.learning import prefetch
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.batches import Batches
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


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Future[Any]]:
    """The decodes that were submitted to the threads."""
    futures: list[Future[Any]] = []

    class RecordingPool(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            futures.append(super().submit(fn, *args, **kwargs))
            return futures[-1]

    monkeypatch.setattr(prefetch, "ThreadPoolExecutor", RecordingPool)
    return futures


def epoch(points: Points, *, workers: int = 2, size: int = SIZE) -> Iterator[Step]:
    return Batches(ToyLearner(), points, batch_size=size, seed=3, ranks=Ranks(), workers=workers).epoch(1)


def test_only_the_next_batches_are_decoded_ahead(submitted: list[Future[Any]]) -> None:
    decoded: list[int] = []
    steps = epoch(Points(40, decoded.append))
    for number in range(1, 4):
        next(steps)
        assert not wait(submitted, 30).not_done
        assert len(decoded) == len(submitted) == (number + AHEAD) * SIZE


def test_small_batches_keep_all_threads_busy() -> None:
    together = threading.Barrier(8)
    assert len(list(epoch(Points(16, lambda _index: together.wait(30)), workers=8, size=1))) == 16


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_batches_do_not_depend_on_the_number_of_threads(workers: int) -> None:
    def described(steps: Iterator[Step]) -> list[Any]:
        return [(step.names, step.seeds, [part["positions"].tolist() for part, _ in step.parts]) for step in steps]

    begun, second_of_pair = itertools.count(), [threading.Event() for _ in range(11)]

    def out_of_order(_index: int) -> None:
        """Of each two items, finish the one begun first after the other."""
        pair, is_second = divmod(next(begun), 2)
        if is_second:
            second_of_pair[pair].set()
        assert workers == 1 or second_of_pair[pair].wait(30)

    steps = described(epoch(Points(22, out_of_order), workers=workers))
    assert steps == described(epoch(Points(22, lambda _index: None)))


def test_epoch_that_stops_early_decodes_no_more(submitted: list[Future[Any]]) -> None:
    decoded, go = list[int](), threading.Event()

    def decode(index: int) -> None:
        decoded.append(index)
        assert len(decoded) <= SIZE or go.wait(30)

    steps = epoch(Points(40, decode))
    next(steps)
    submitted[-1].add_done_callback(lambda _cancelled: go.set())
    steps.close()  # type: ignore[attr-defined]
    assert len(decoded) <= SIZE + 2  # begun before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
