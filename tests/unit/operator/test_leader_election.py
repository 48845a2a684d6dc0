"""When a leader gives up and a candidate takes over, on a virtual clock, with a fake API server."""

import asyncio
import logging
from copy import deepcopy
from itertools import pairwise
from typing import Any, cast

import pytest

from vott_operator import metrics
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.leader_election import Leadership
from vott_operator.errors import AlreadyExistsError, ClusterError, NotFoundError

pytestmark = pytest.mark.looptime
SECONDS = 15.0
LEASE = Key("training", "vott-train")


class FakeCluster:
    """Holds one Lease, unless it is unreachable or does not answer."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.renewals: list[float] = []
        """Times of each write, in the event loop's time."""
        self.error: ClusterError | None = None
        self.delay = 0.0

    async def read_lease(self, _: Key) -> dict[str, Any]:
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        if self.lease is None:
            raise NotFoundError("no such Lease", 404)
        return deepcopy(self.lease)

    async def create_lease(self, lease: dict[str, Any]) -> None:
        if self.lease is not None:
            raise AlreadyExistsError("there is one", 409)
        self._write(lease)

    async def replace_lease(self, lease: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        if self.lease is None or self.lease["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"]:
            raise ClusterError("it changed", 409)
        return self._write(lease)

    def _write(self, lease: dict[str, Any]) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        self.renewals.append(now)
        self.lease = deepcopy(lease) | {"metadata": lease["metadata"] | {"resourceVersion": str(len(self.renewals))}}
        return deepcopy(self.lease)


def candidate(cluster: FakeCluster) -> Leadership:
    return Leadership(cast("Cluster", cluster), LEASE, SECONDS)


async def seconds_until_lost(leader: Leadership) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await leader.hold()
    return loop.time() - started


async def test_a_leader_renews_the_lease_in_time() -> None:
    cluster = FakeCluster()
    leader = candidate(cluster)
    await leader.acquire()
    holding = asyncio.create_task(leader.hold())
    await asyncio.sleep(10 * SECONDS)
    assert not holding.done()
    holding.cancel()
    pauses = [later - earlier for earlier, later in zip(cluster.renewals, cluster.renewals[1:], strict=False)]
    assert max(pauses) <= SECONDS / 5 + 1e-6


@pytest.mark.parametrize("is_answering", [True, False], ids=["an API server that fails", "one that does not answer"])
async def test_a_leader_gives_up_before_another_may_take_over(is_answering: bool) -> None:
    cluster = FakeCluster()
    leader = candidate(cluster)
    await leader.acquire()
    if is_answering:
        cluster.error = ClusterError("unavailable", 503)
    else:
        cluster.delay = 10 * SECONDS
    assert SECONDS / 2 < await seconds_until_lost(leader) < SECONDS


async def test_a_slow_renewal_counts_from_its_start() -> None:
    cluster = FakeCluster()
    leader = candidate(cluster)
    await leader.acquire()
    cluster.delay = SECONDS * 0.6
    assert await seconds_until_lost(leader) < SECONDS


async def test_a_leader_keeps_the_lease_of_an_api_server_that_always_takes_four_seconds() -> None:
    cluster = FakeCluster()
    leader = candidate(cluster)
    await leader.acquire()
    holding = asyncio.create_task(leader.hold())
    cluster.delay = 4
    await asyncio.sleep(20 * SECONDS)
    assert not holding.done()
    holding.cancel()


async def test_a_leader_gives_up_at_once_when_another_holds_the_lease() -> None:
    cluster = FakeCluster()
    leader = candidate(cluster)
    await leader.acquire()
    assert cluster.lease is not None
    cluster.lease["spec"]["holderIdentity"] = "another"
    cluster.lease["metadata"]["resourceVersion"] = "100"
    assert await seconds_until_lost(leader) == 0


async def test_a_candidate_takes_over_only_after_the_lease_has_expired() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    await candidate(cluster).acquire()
    started = loop.time()
    await candidate(cluster).acquire()
    assert SECONDS <= loop.time() - started <= SECONDS * 1.2 + 1e-6


async def test_a_candidate_takes_over_a_released_lease_soon() -> None:
    cluster, loop = FakeCluster(), asyncio.get_running_loop()
    leader = candidate(cluster)
    await leader.acquire()
    waiting = asyncio.create_task(candidate(cluster).acquire())
    await asyncio.sleep(1)
    await leader.release()
    released = loop.time()
    await waiting
    assert loop.time() - released <= SECONDS / 5 + 1e-6


async def test_the_changes_of_the_holder_are_a_metric_of_every_candidate() -> None:
    cluster = FakeCluster()
    for _ in range(3):
        await candidate(cluster).acquire()
    assert metrics.REGISTRY.get_sample_value("vott_train_lease_transitions") == 2


async def test_one_request_that_hangs_does_not_cost_the_lease(caplog: pytest.LogCaptureFixture) -> None:
    cluster = FakeCluster()
    leader = candidate(cluster)
    await leader.acquire()
    holding = asyncio.create_task(leader.hold())
    await asyncio.sleep(1)
    cluster.delay = 3600
    await asyncio.sleep(SECONDS / 5)  # the next renewal hangs
    cluster.delay = 0
    await asyncio.sleep(SECONDS)
    assert not holding.done()
    holding.cancel()
    pauses = [later - earlier for earlier, later in pairwise(cluster.renewals)]
    assert max(pauses) < SECONDS * 2 / 3
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["Lease training/vott-train: the Kubernetes API did not answer within 5.0 s"]
