"""How often a receiver gets a report, on a virtual clock."""

from collections.abc import Iterable
from itertools import pairwise

import pytest

from vott_trainer.progress.report_interval import BACKOFF, MAX_ASKED_SECONDS, SECONDS, ReportInterval


def reports(changes: Iterable[float], seconds: float = 0.0, asked: float | None = None) -> list[float]:
    """When reports are sent: the newest of `changes` once the interval is over. Each takes `seconds`."""
    interval, times = ReportInterval(), list[float]()
    waiting = sorted(changes)
    while waiting:
        time = max(waiting[0], interval.due)
        times.append(time)
        interval.accepted(time, time + seconds, asked)
        waiting = [change for change in waiting if change > time]
    return times


def test_a_training_of_170_epochs_in_33_seconds_sends_17_reports_and_the_last() -> None:
    times = reports(33 * epoch / 170 for epoch in range(1, 171))
    assert len(times) == 17 + 1
    assert min(later - earlier for earlier, later in pairwise(times)) >= SECONDS


def test_the_first_report_is_due_at_once() -> None:
    assert ReportInterval().due < 0


@pytest.mark.parametrize(("asked", "interval"), [(None, 2.0), (1.0, 2.0), (10.0, 10.0), (1e9, MAX_ASKED_SECONDS)])
def test_the_interval_is_the_one_asked_for_within_limits(asked: float | None, interval: float) -> None:
    assert reports([0.0, 1.0], asked=asked) == [0.0, interval]


def test_a_slow_receiver_gets_a_pause_of_four_times_its_answer() -> None:
    assert reports([0.0, 1.0], seconds=3.0) == [0.0, 3.0 + 4 * 3.0]


def test_a_failing_receiver_is_tried_less_and_less_often_until_it_accepts_a_report() -> None:
    interval, pauses = ReportInterval(), list[float]()
    for _ in range(6):
        interval.failed(0.0, 0.0)
        pauses.append(interval.due)
    ceilings = [BACKOFF.ceiling(failures) for failures in range(1, 7)]
    assert ceilings == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert all(ceiling / 2 <= pause <= ceiling for ceiling, pause in zip(ceilings, pauses, strict=True))
    interval.accepted(0.0, 0.0)
    assert interval.due == SECONDS
    interval.failed(0.0, 0.0)
    assert interval.due <= 4.0


def test_a_throttling_receiver_is_tried_when_it_asks_for_it() -> None:
    interval = ReportInterval()
    interval.failed(0.0, 0.0, retry_after=45.0)
    assert interval.due == 45.0
