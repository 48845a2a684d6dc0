"""Two operators on one queue: a leader and a standby; each message trains once, even if operators crash or hang."""

import signal
import subprocess
import time
from typing import Any

import pytest

from tests.support.examples import MESSAGE
from tests.support.operator_harness import OperatorHarness
from tests.support.waiting import wait_until

Process = subprocess.Popen[bytes]

WATCH_SECONDS = 3
"""Several polls: an operator polls an idle queue once a second."""


def with_lease(seconds: int) -> pytest.MarkDecorator:
    """Set the lease duration: short if the lease is to expire in the test, else longer."""
    lease = {"leaderElection": {"leaseDurationSeconds": seconds}}
    return pytest.mark.parametrize("harness", [lease], indirect=True, ids=[f"lease of {seconds} s"])


def holder(harness: OperatorHarness) -> str:
    """Identity of the leader, or ""."""
    leases = [item for item in harness.kubectl.list("leases") if item["metadata"]["name"] == "vott-train"]
    return str(leases[0]["spec"].get("holderIdentity") or "") if leases else ""


def wait_leader(harness: OperatorHarness, other_than: str = "") -> str:
    return wait_until(
        "a leader", lambda: name if (name := holder(harness)) not in ("", other_than) else None, seconds=60
    )


def pair(harness: OperatorHarness) -> tuple[Process, Process, str]:
    """Start two operators; return the leader, the standby and the leader's identity."""
    first = harness.operator()
    name = wait_leader(harness)
    return first, harness.operator(), name


def wait_trained(harness: OperatorHarness, count: int) -> None:
    """Wait until exactly `count` TrainingJobs have a Job each and the queue is empty."""

    def probe() -> bool:
        return len(harness.kubectl.list("jobs")) >= count and harness.waiting_messages() == 0

    wait_until(f"{count} Jobs", probe, seconds=60, dump=harness.diagnostics)
    assert len(harness.trainingjobs()) == count
    assert len(harness.kubectl.list("jobs")) == count


@with_lease(5)
def test_the_standby_takes_over_from_a_killed_leader(harness: OperatorHarness) -> None:
    leader, _, name = pair(harness)
    harness.send(MESSAGE)
    wait_trained(harness, 1)
    leader.kill()
    harness.send(MESSAGE)
    wait_leader(harness, name)
    wait_trained(harness, 2)


@with_lease(15)
def test_the_standby_takes_over_at_once_from_a_terminated_leader(harness: OperatorHarness) -> None:
    leader, _, name = pair(harness)
    for _ in range(20):
        harness.send(MESSAGE)
    leader.send_signal(signal.SIGTERM)
    assert leader.wait(timeout=60) == 0
    assert holder(harness) != name
    wait_leader(harness, name)
    wait_trained(harness, 20)


@with_lease(5)
def test_a_leader_that_hung_exits_and_duplicates_nothing(harness: OperatorHarness) -> None:
    leader, _, name = pair(harness)
    harness.send(MESSAGE)
    wait_trained(harness, 1)
    leader.send_signal(signal.SIGSTOP)
    wait_leader(harness, name)
    for _ in range(20):
        harness.send(MESSAGE)
    leader.send_signal(signal.SIGCONT)  # now both believe that they lead
    assert leader.wait(timeout=60) == 1
    assert "could not be renewed" in harness.log.read_text()
    wait_trained(harness, 21)


@pytest.mark.parametrize("harness", [{"leaderElection": {"enabled": False}}], indirect=True, ids=["no election"])
def test_two_operators_without_leader_election_duplicate_nothing(harness: OperatorHarness) -> None:
    harness.operator()
    harness.operator()
    for _ in range(30):
        harness.send(MESSAGE)
    wait_trained(harness, 30)


@with_lease(15)
def test_a_standby_receives_no_messages(harness: OperatorHarness) -> None:
    leader, _, name = pair(harness)
    leader.send_signal(signal.SIGSTOP)
    try:
        harness.send(MESSAGE)
        watched_until = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < watched_until:
            dequeue_counts = [item.dequeue_count for item in harness.queue().peek_messages()]
            trainingjobs: list[Any] = harness.trainingjobs()
            # The holder is read last, so the other values are from a time when the other operator led.
            assert (dequeue_counts, trainingjobs, holder(harness)) == ([0], [], name)
    finally:
        leader.kill()
        leader.send_signal(signal.SIGCONT)
