"""Exponential backoff with jitter."""

import pytest

from vott_guard.backoff import Backoff


def test_the_ceiling_doubles_up_to_the_longest_delay() -> None:
    backoff = Backoff(first=0.5, longest=6.0)
    assert [backoff.ceiling(failures) for failures in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 6.0, 6.0]


def test_many_failures_do_not_overflow() -> None:
    assert Backoff(first=1.0, longest=60.0).seconds(10**6) <= 60.0


@pytest.mark.parametrize(("number", "seconds"), [(0.0, 4.0), (0.5, 3.0), (1.0, 2.0)])
def test_half_of_each_delay_is_random(number: float, seconds: float) -> None:
    assert Backoff(first=1.0, longest=60.0, random_number=lambda: number).seconds(3) == seconds


@pytest.mark.parametrize(("jitter", "shortest"), [(0.0, 4.0), (0.25, 3.0), (1.0, 0.0)])
def test_the_random_share_is_configurable(jitter: float, shortest: float) -> None:
    assert Backoff(first=1.0, longest=60.0, jitter=jitter, random_number=lambda: 1.0).seconds(3) == shortest


def test_two_clients_do_not_retry_in_step() -> None:
    backoff = Backoff(first=1.0, longest=60.0)
    assert len({backoff.seconds(10) for _ in range(100)}) > 50
