"""How often trainers report, by the number of running trainings."""

from dataclasses import replace

import pytest

from tests.support.observed_state import NOW, job, observed, running_pod, running_status, settings, trainingjob
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import plan
from vott_operator.decisions.report_interval import (
    MAX_SECONDS,
    REPORTS_PER_SECOND,
    TOLERANCE,
    has_other_interval,
    report_interval,
)


def one_of(running: int, current: int | None = None, *, counts_all: bool = True) -> Observed:
    """A running training with this interval, one of so many."""
    tj = trainingjob(status=running_status(reportIntervalSeconds=current))
    return replace(observed(tj, job(), running_pod()), running=running, counts_all=counts_all)


@pytest.mark.parametrize(
    ("running", "interval"),
    [(1, None), (200, None), (300, None), (301, 4), (1000, 10), (5000, 50), (20_000, MAX_SECONDS)],
)
def test_many_trainings_report_less_often(running: int, interval: int | None) -> None:
    assert report_interval(one_of(running)) == interval


@pytest.mark.parametrize(
    ("running", "current", "interval"),
    [(1000, 7, 7), (1000, 15, 15), (1000, 6, 10), (1000, 16, 10), (10, 10, 2), (10, 2, 2)],
)
def test_an_interval_changes_only_if_it_is_off_by_more_than_half(running: int, current: int, interval: int) -> None:
    assert report_interval(one_of(running, current)) == interval
    assert has_other_interval(one_of(running, current)) == (current != interval)


def test_no_interval_is_shortened_while_trainings_may_be_unknown() -> None:
    assert report_interval(one_of(10, 10, counts_all=False)) == 10
    assert report_interval(one_of(1000, 2, counts_all=False)) == 10


def test_a_thousand_trainings_that_start_one_after_another_stay_within_the_budget() -> None:
    """Each has the interval from its start, or a longer one once the growing number makes it too short."""
    intervals: list[int | None] = []
    for running in range(20, 1001, 20):
        intervals = [report_interval(one_of(running, interval)) for interval in intervals]
        intervals += [report_interval(one_of(running))] * 20
        assert sum(1 / (interval or 2) for interval in intervals) <= REPORTS_PER_SECOND * TOLERANCE


def test_the_interval_is_written_to_the_status_of_a_running_training() -> None:
    written, unchanged = (plan(one_of(1000, current), settings(), NOW).status or {} for current in (2, 10))
    assert written["reportIntervalSeconds"] == 10
    assert "reportIntervalSeconds" not in unchanged
