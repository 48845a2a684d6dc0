"""The first list of TrainingJobs and the resync, on a virtual clock."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW, trainingjob
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.resync import RESYNC_SECONDS, Resync
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError

pytestmark = pytest.mark.looptime
KEY = trainingjob().key


def child(name: str) -> dict[str, Any]:
    """A Job or pod of the TrainingJob."""
    labels = {c.LABEL_TRAININGJOB: KEY.name}
    return {"metadata": {"name": name, "namespace": KEY.namespace, "labels": labels}, "spec": {}}


class Lists:
    """A cluster that can only list."""

    def __init__(self, *trainingjobs: TrainingJob) -> None:
        self.trainingjobs = trainingjobs
        self.children: list[dict[str, Any]] = []
        self.failures = 0

    async def list_trainingjobs(self, _: str) -> AsyncIterator[TrainingJob]:
        if self.failures:
            self.failures -= 1
            raise ClusterError("429 too many requests", 429)
        for item in self.trainingjobs:
            yield item

    async def list_jobs(self, _: str) -> AsyncIterator[dict[str, Any]]:
        for item in self.children:
            yield item

    list_all_pods = list_jobs


def resync(cluster: Lists, store: Store, enqueued: list[Key]) -> Resync:
    return Resync(cast("Cluster", cluster), store, [KEY.namespace], enqueued.append)


async def run_once(part: Resync) -> None:
    task = asyncio.create_task(part.run())
    await asyncio.sleep(RESYNC_SECONDS * 1.5)
    task.cancel()


def full_store() -> Store:
    store = Store(NOW)
    store.put_trainingjob(trainingjob())
    store.put_job(KEY, child("cats"))
    store.put_pod(KEY, child("cats-0-abcde"))
    return store


async def test_the_first_list_is_retried_until_it_succeeds() -> None:
    cluster, store = Lists(trainingjob()), Store(NOW)
    cluster.failures = 3
    await resync(cluster, store, []).list_trainingjobs(KEY.namespace)
    assert set(store.trainingjobs()) == {KEY}


async def test_what_was_deleted_while_a_watch_was_broken_is_dropped() -> None:
    store, enqueued = full_store(), list[Key]()
    await run_once(resync(Lists(), store, enqueued))
    assert (store.trainingjobs(), store.jobs(), store.pods(), enqueued) == ({}, {}, set(), [])


async def test_what_still_exists_is_kept_and_reconciled() -> None:
    store, enqueued = full_store(), list[Key]()
    cluster = Lists(trainingjob())
    cluster.children = [child("cats"), child("cats-0-abcde")]
    await run_once(resync(cluster, store, enqueued))
    assert (set(store.trainingjobs()), set(store.jobs()), len(store.pods()), enqueued) == ({KEY}, {KEY}, 1, [KEY])


async def test_a_resync_that_can_not_list_drops_nothing_but_reconciles() -> None:
    cluster, store, enqueued = Lists(), full_store(), list[Key]()
    cluster.failures = 1
    await run_once(resync(cluster, store, enqueued))
    assert (set(store.trainingjobs()), enqueued) == ({KEY}, [KEY])


async def test_after_a_resync_the_running_trainings_are_known() -> None:
    store = Store(NOW)
    store.put_trainingjob(trainingjob(status={"phase": "Running"}))
    before = store.observed(KEY)
    await run_once(resync(Lists(trainingjob()), store, []))
    after = store.observed(KEY)
    assert before is not None
    assert after is not None
    assert [(item.running, item.counts_all) for item in (before, after)] == [(1, False), (1, True)]


async def test_a_training_that_ended_or_was_deleted_counts_no_more_as_running() -> None:
    store, other = Store(NOW), trainingjob(metadata={"name": "dogs"})
    running = [trainingjob(status={"phase": "Running"}, metadata={"name": name}) for name in ("a", "b")]
    for item in (*running, other):
        store.put_trainingjob(item)
    counts = []
    for change in (
        lambda: None,
        lambda: store.put_trainingjob(trainingjob(status={"phase": "Failed"}, metadata={"name": "a"})),
        lambda: store.drop_trainingjob(running[1].key),
    ):
        change()
        observed = store.observed(other.key)
        counts.append(observed.running if observed else None)
    assert counts == [2, 1, 0]
