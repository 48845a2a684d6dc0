"""The ETA of a training."""

import pytest

from vott_trainer.progress.eta import MIN_SECONDS, ProgressPoint, seconds_left
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.store import StoredObject


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("start", "now", "left"),
    [
        (ProgressPoint(0, 0), ProgressPoint(60, 0.25), 180),
        (ProgressPoint(0, 0.5), ProgressPoint(60, 0.75), 60),  # resumed in the middle
        (ProgressPoint(100, 0.01), ProgressPoint(160, 1.0), 0),
    ],
)
def test_seconds_left_follow_from_the_mean_speed(start: ProgressPoint, now: ProgressPoint, left: float) -> None:
    assert seconds_left(start, now) == pytest.approx(left)


@pytest.mark.parametrize("now", [ProgressPoint(0, 0.1), ProgressPoint(MIN_SECONDS - 0.1, 0.5), ProgressPoint(60, 0.1)])
def test_seconds_left_are_unknown_without_a_speed(now: ProgressPoint) -> None:
    assert seconds_left(ProgressPoint(0, 0.1), now) is None


def test_fetching_and_a_slow_first_step_do_not_count() -> None:
    clock, snapshots = Clock(), list[Snapshot]()
    progress = Progress(snapshots.append, clock)
    progress.fetching(1, 1)
    clock.now += 3600
    progress.begin(epochs=2, steps=5)
    for step, seconds in enumerate([300, 10, 10], start=1):
        clock.now += seconds
        progress.step(1, step, classification_loss=None, images_per_second=None)
    assert [snapshot.seconds_left for snapshot in snapshots][:3] == [None, None, None]
    assert snapshots[-1].seconds_left == pytest.approx(70)


def test_pause_lowers_the_mean_speed() -> None:
    clock, snapshots = Clock(), list[Snapshot]()
    progress = Progress(snapshots.append, clock)
    progress.begin(epochs=10, steps=10)
    for epoch in range(1, 6):
        for step in range(1, 11):
            clock.now += 10
            progress.step(epoch, step, classification_loss=None, images_per_second=None)
    before = snapshots[-1].seconds_left
    clock.now += 60  # an evaluation
    progress.step(6, 1, classification_loss=None, images_per_second=None)
    assert before == pytest.approx(500)
    assert snapshots[-1].seconds_left == pytest.approx(540, abs=10)


def test_seconds_left_are_unknown_during_the_upload() -> None:
    clock = Clock()
    progress = Progress(clock=clock)
    progress.begin(epochs=1, steps=4)
    for step in range(1, 4):
        clock.now += 60
        progress.step(1, step, classification_loss=None, images_per_second=None)
    assert progress.snapshot.seconds_left == pytest.approx(60)
    progress.uploading({})
    assert progress.snapshot.seconds_left is None
    assert progress.complete(StoredObject("https://store/m", "ab", 1)).seconds_left is None
