"""Leader election against a real API server: one operator leads, the others wait and take over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.operator_harness import OperatorHarness
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.leader_election import Leadership
from vott_operator.errors import ClusterError

SECONDS = 1.0
"""Duration of a lease that is to expire in the test."""
LONG_SECONDS = 5.0
"""Duration of a lease that must not expire. Its holder gives up after two thirds of this without a renewal, as on an overloaded machine."""
PATIENCE_SECONDS = 60.0

Candidate = Callable[[float], Leadership]


@pytest.fixture
def candidate(harness: OperatorHarness, cluster: Cluster) -> Candidate:
    return lambda seconds: Leadership(cluster, Key(harness.name, "vott-train"), seconds)


def lease(harness: OperatorHarness) -> dict[str, Any]:
    spec: dict[str, Any] = harness.kubectl.get("lease", "vott-train")["spec"]
    return spec


async def returns(waiting: Awaitable[None]) -> bool:
    """Whether it returns within a generous time."""
    try:
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    except TimeoutError:
        return False
    return True


async def test_the_first_candidate_leads_and_the_second_waits(harness: OperatorHarness, candidate: Candidate) -> None:
    first, second = candidate(LONG_SECONDS), candidate(LONG_SECONDS)
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(LONG_SECONDS + 1)
    assert (holding.done(), waiting.done()) == (False, False)
    assert lease(harness)["holderIdentity"] == first.identity
    for task in (holding, waiting):
        task.cancel()


async def test_the_second_candidate_takes_over_from_a_dead_leader(
    harness: OperatorHarness, candidate: Candidate
) -> None:
    first, second = candidate(SECONDS), candidate(SECONDS)
    await first.acquire()
    assert await returns(second.acquire())
    assert lease(harness)["holderIdentity"] == second.identity
    assert lease(harness)["leaseTransitions"] == 1
    assert await returns(first.hold())  # the old leader notices that it no longer leads


async def test_a_released_lease_can_be_acquired_at_once(harness: OperatorHarness, candidate: Candidate) -> None:
    first, second = candidate(LONG_SECONDS), candidate(LONG_SECONDS)
    await first.acquire()
    await first.release()
    assert lease(harness)["holderIdentity"] in (None, "")
    await asyncio.wait_for(second.acquire(), LONG_SECONDS / 2)


async def test_only_the_holder_can_release_a_lease(harness: OperatorHarness, candidate: Candidate) -> None:
    first, second = candidate(LONG_SECONDS), candidate(LONG_SECONDS)
    await first.acquire()
    await second.release()
    assert lease(harness)["holderIdentity"] == first.identity


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_a_leader_that_can_not_renew_its_lease_gives_up(
    cluster: Cluster, candidate: Candidate, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    async def unavailable(_: object) -> None:
        if hangs:
            await asyncio.sleep(3600)
        raise ClusterError("the API did not answer")

    leader = candidate(SECONDS)
    await leader.acquire()
    monkeypatch.setattr(cluster, "replace_lease", unavailable)
    assert await returns(leader.hold())
