"""Batches: the same from any step on, each item once an epoch, divided into parts, shared among processes."""

import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from tests.unit.trainer.toy_learner import Point, ToyLearner
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.prefetch import prefetched
from vott_trainer.learning.sharding import chunked, shard
from vott_trainer.learning.tensors import to_device
from vott_trainer.plugins.detection import Batch
from vott_trainer.process.ranks import Ranks

POINTS = [Point(f"point {n}", torch.tensor((float(n), 0.0)), torch.tensor(0)) for n in range(10)]


def batches(points: Sequence[Any] = POINTS, *, ranks: Ranks = Ranks(), seed: int = 3) -> Batches:  # noqa: B008 - frozen
    return Batches(ToyLearner(), points, batch_size=4, seed=seed, ranks=ranks, workers=2)


def described(steps: Sequence[Step]) -> list[Any]:
    return [(step.names, [part["positions"].tolist() for part, _ in step.parts]) for step in steps]


def test_epoch_shows_every_item_once_in_a_new_order() -> None:
    epochs = [[name for step in batches().epoch(epoch) for name in step.names] for epoch in (1, 2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(point.name for point in POINTS)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("start", range(4))
def test_epoch_started_in_the_middle_is_the_rest_of_the_whole(start: int) -> None:
    assert described(list(batches().epoch(2, start))) == described(list(batches().epoch(2)))[start:]


@pytest.mark.parametrize(
    ("items", "size", "sizes"),
    [(9, 4, [4, 4, 2]), (3, 2, [2, 2]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (1, 4, [1]), (2, 1, [1, 1])],
)
def test_no_item_is_alone_in_its_batch_if_there_are_others(items: int, size: int, sizes: list[int]) -> None:
    chunks = chunked(range(items), size)
    assert [len(chunk) for chunk in chunks] == sizes
    assert {number for chunk in chunks for number in chunk} == set(range(items))
    assert len(batches(POINTS[:items])) == len(list(batches(POINTS[:items]).epoch(1)))
    assert all(len(set(chunk)) == len(chunk) for chunk in chunks)


def test_divided_step_is_augmented_as_the_whole() -> None:
    steps = batches()
    (whole, *_) = steps.epoch(1)
    steps.parts = 3
    divided = steps.divided(whole)
    assert [size for _, size in divided.parts] == [2, 2]
    assert torch.equal(torch.cat([part["positions"] for part, _ in divided.parts]), whole.parts[0][0]["positions"])


def test_largest_step_has_the_largest_items_of_each_dimension_first() -> None:
    class Sized(ToyLearner):
        def batch(self, items: Sequence[Point], rngs: Sequence[random.Random]) -> Any:  # noqa: ARG002
            numbers = [int(item.name.split()[1]) for item in items]
            images = [torch.empty(3, 9 if n == 8 else 4, 9 if n == 3 else 4) for n in numbers]
            return images, [{"boxes": torch.empty(7 if n == 5 else 1, 4)} for n in numbers]

    steps = Batches(Sized(), POINTS, batch_size=4, seed=3, ranks=Ranks(), workers=2)
    largest = steps.largest()
    assert largest.names[:3] == ["point 8", "point 3", "point 5"]
    assert len(set(largest.names)) == 4
    assert [size for _, size in largest.parts] == [4]
    steps.parts = 2
    assert steps.part_size == 2
    assert [size for _, size in steps.largest().parts] == [2, 2]


@pytest.mark.parametrize("points", [POINTS, POINTS[:3]])
def test_largest_step_of_equal_items_is_a_full_one(points: list[Point]) -> None:
    steps = batches(points)
    assert len(steps.largest().items) == len(set(steps.largest().names)) == min(4, len(points)) == steps.part_size


def test_error_of_an_item_is_raised_from_its_batch() -> None:
    class Broken(list[Point]):
        def __getitem__(self, index: Any) -> Any:
            if index == 5:
                raise ValueError("item 5")
            return super().__getitem__(index)

    with pytest.raises(ValueError, match="item 5"):
        list(batches(Broken(POINTS)).epoch(1))


def test_prefetched_steps_come_in_order_and_errors_in_their_place() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise ValueError("the sixth")

    prefetching = prefetched(broken())
    assert [next(prefetching) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="the sixth"):
        next(prefetching)


def test_prefetching_that_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    prefetching = prefetched(iter(range(1000)))
    next(prefetching)
    prefetching.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize(("items", "processes"), [(10, 4), (3, 8), (8, 2), (1, 1)])
def test_every_rank_gets_equally_many_items_and_every_item_is_used(items: int, processes: int) -> None:
    shares = [shard(items, Ranks(rank, processes, rank, processes)) for rank in range(processes)]
    assert len({len(one) for one in shares}) == 1
    assert {number for one in shares for number in one} == set(range(items))


def test_batch_of_any_structure_is_moved() -> None:
    batch = Batch(
        torch.zeros(1, 3, 2, 2), [{"boxes": torch.zeros(1, 4), "labels": torch.ones(1)}], torch.zeros(1, 3, 4)
    )
    on_device = to_device({"batch": batch, "more": (torch.zeros(1), "text")}, torch.device("meta"))
    moved = on_device["batch"]
    tensors = [moved.images, moved.colors, *moved.targets[0].values(), on_device["more"][0]]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert on_device["more"][1] == "text"
