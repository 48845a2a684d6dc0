"""Two operators for one queue: one works, the other stands by; and whatever happens to them, a message trains once."""

import signal
import subprocess
import time
from typing import Any

import pytest

from tests.support.corner import Corner
from tests.support.waiting import wait_until

Process = subprocess.Popen[bytes]

MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models"}
WATCH_SECONDS = 3
"""An operator that receives looks at an idle queue once a second."""


def corner_with_lease(seconds: int) -> pytest.MarkDecorator:
    """Short where the end of the lease is waited for, and longer where it must not come."""
    lease = {"leaderElection": {"leaseDurationSeconds": seconds}}
    return pytest.mark.parametrize("corner", [lease], indirect=True, ids=[f"lease of {seconds} s"])


def holder(corner: Corner) -> str:
    """Who leads; empty while nobody does."""
    leases = [item for item in corner.kubectl.list("leases") if item["metadata"]["name"] == "vott-train"]
    return str(leases[0]["spec"].get("holderIdentity") or "") if leases else ""


def wait_leader(corner: Corner, other_than: str = "") -> str:
    return wait_until(
        "a leader", lambda: name if (name := holder(corner)) not in ("", other_than) else None, seconds=60
    )


def pair(corner: Corner) -> tuple[Process, Process, str]:
    """The leader, the standby and the leader's name."""
    first = corner.operator()
    name = wait_leader(corner)
    return first, corner.operator(), name


def wait_trained(corner: Corner, count: int) -> None:
    """So many TrainingJobs with a Job each, exactly, and nothing left in the queue."""

    def probe() -> bool:
        return len(corner.kubectl.list("jobs")) >= count and corner.waiting_messages() == 0

    wait_until(f"{count} Jobs", probe, seconds=60, dump=corner.picture)
    assert len(corner.trainingjobs()) == count
    assert len(corner.kubectl.list("jobs")) == count


@corner_with_lease(5)
def test_the_standby_takes_over_from_a_killed_leader(corner: Corner) -> None:
    leader, _, name = pair(corner)
    corner.send(MESSAGE)
    wait_trained(corner, 1)
    leader.kill()
    corner.send(MESSAGE)
    wait_leader(corner, name)
    wait_trained(corner, 2)


@corner_with_lease(15)
def test_the_standby_takes_over_at_once_from_a_leader_that_ends_well(corner: Corner) -> None:
    leader, _, name = pair(corner)
    for _ in range(20):
        corner.send(MESSAGE)
    leader.send_signal(signal.SIGTERM)
    assert leader.wait(timeout=60) == 0
    assert holder(corner) != name
    wait_leader(corner, name)
    wait_trained(corner, 20)


@corner_with_lease(5)
def test_a_leader_that_was_asleep_ends_and_doubles_nothing(corner: Corner) -> None:
    leader, _, name = pair(corner)
    corner.send(MESSAGE)
    wait_trained(corner, 1)
    leader.send_signal(signal.SIGSTOP)
    wait_leader(corner, name)
    for _ in range(20):
        corner.send(MESSAGE)
    leader.send_signal(signal.SIGCONT)  # now both believe to lead
    assert leader.wait(timeout=60) == 1
    assert "could not be renewed" in corner.log.read_text()
    wait_trained(corner, 21)


@pytest.mark.parametrize("corner", [{"leaderElection": {"enabled": False}}], indirect=True, ids=["no election"])
def test_two_that_both_lead_all_the_time_make_no_double(corner: Corner) -> None:
    corner.operator()
    corner.operator()
    for _ in range(30):
        corner.send(MESSAGE)
    wait_trained(corner, 30)


@corner_with_lease(15)
def test_a_standby_acts_on_nothing(corner: Corner) -> None:
    leader, _, name = pair(corner)
    leader.send_signal(signal.SIGSTOP)
    try:
        corner.send(MESSAGE)
        watched_until = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < watched_until:
            untouched = [item.dequeue_count for item in corner.queue().peek_messages()]
            made: list[Any] = corner.trainingjobs()
            # Asked last: what was seen before is of a time in which the other one led.
            assert (untouched, made, holder(corner)) == ([0], [], name)
    finally:
        leader.kill()
        leader.send_signal(signal.SIGCONT)
