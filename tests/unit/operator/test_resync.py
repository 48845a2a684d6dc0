"""The first list of TrainingJobs, and what the check of a namespace finds, drops and reconciles, on a virtual clock."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW, trainingjob
from vott_operator import metrics
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.namespaces import Condition, Namespaces
from vott_operator.cluster.resync import CHECK_SECONDS, RESYNC_SECONDS, SHOWN_SECONDS, TROUBLE_SECONDS, Resync
from vott_operator.cluster.store import Kind, Store
from vott_operator.cluster.watch_lag import WatchLag
from vott_operator.errors import ClusterError, NotFoundError

pytestmark = pytest.mark.looptime
KEY = trainingjob().key
OTHER = "team-b"
FORBIDDEN = ClusterError("GET: 403 forbidden", 403, "cannot list pods")
NOT_SERVED = NotFoundError("GET: 404 page not found", 404, "404 page not found")
NO_NAMESPACE = NotFoundError('GET: 404 namespaces "training" not found', 404, 'namespaces "training" not found')


def child(name: str, version: str = "7") -> dict[str, Any]:
    """A Job or pod of the TrainingJob."""
    metadata = {"name": name, "namespace": KEY.namespace, "uid": f"uid-{name}", "resourceVersion": version}
    return {"metadata": metadata | {"labels": {c.LABEL_TRAININGJOB: KEY.name}}, "spec": {}}


class Lists:
    """A cluster that can only list; `errors` are those of a namespace."""

    def __init__(self, *trainingjobs: TrainingJob) -> None:
        self.trainingjobs = trainingjobs
        self.children: dict[Kind, list[dict[str, Any]]] = {Kind.JOB: [], Kind.POD: []}
        self.errors: dict[str, ClusterError] = {}
        self.phase: str | ClusterError = "Active"
        self.failures = 0
        self.lists = 0

    async def namespace_phase(self, _: str) -> str:
        if isinstance(self.phase, ClusterError):
            raise self.phase
        return self.phase

    async def list_metadata(self, kind: Kind, namespace: str) -> AsyncIterator[Mapping[str, Any]]:
        self.lists += 1
        self._fail(namespace)
        if self.failures:
            self.failures -= 1
            raise ClusterError("429 too many requests", 429)
        if namespace != KEY.namespace:
            return
        if kind == Kind.TRAININGJOB:
            for item in self.trainingjobs:
                yield item.metadata.model_dump(by_alias=True)
        for body in self.children.get(kind, ()):
            yield body["metadata"]

    def _fail(self, namespace: str) -> None:
        if namespace in self.errors:
            raise self.errors[namespace]


class Harness:
    """A Resync of two namespaces."""

    def __init__(self, cluster: Lists, store: Store | None = None) -> None:
        self.cluster, self.store = cluster, store or Store(NOW)
        self.enqueued: list[Key] = []
        self.namespaces = Namespaces([KEY.namespace, OTHER], self.now)
        self.lag = WatchLag(self.store, self.now)
        self.resync = Resync(
            cast("Cluster", cluster),
            self.store,
            self.namespaces,
            self.lag,
            self.enqueued.append,
            self.now,
        )

    @staticmethod
    def now() -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    async def run(self, seconds: float) -> None:
        """Check both namespaces for so long."""
        tasks = [asyncio.create_task(self.resync.run(name)) for name in (KEY.namespace, OTHER)]
        await asyncio.sleep(seconds)
        for task in tasks:
            assert not task.done()
            task.cancel()

    @property
    def condition(self) -> Condition:
        return self.namespaces.state(KEY.namespace).condition


def full_store() -> Store:
    store = Store(NOW)
    store.put_trainingjob(trainingjob())
    store.put_job(KEY, child("cats"))
    store.put_pod(KEY, child("cats-0-abcde"))
    return store


def full_cluster(version: str = "7") -> Lists:
    cluster = Lists(trainingjob(metadata={"resourceVersion": version}))
    cluster.children = {Kind.JOB: [child("cats", version)], Kind.POD: [child("cats-0-abcde", version)]}
    return cluster


async def test_the_first_list_is_retried_until_it_succeeds() -> None:
    cluster = Lists()
    cluster.failures = 3
    await Harness(cluster).resync.wait_until_shown(KEY.namespace)
    assert cluster.failures == 0


async def test_messages_wait_until_the_watches_have_shown_all_trainingjobs() -> None:
    harness = Harness(Lists(trainingjob()))
    waiting = asyncio.create_task(harness.resync.wait_until_shown(KEY.namespace))
    await asyncio.sleep(SHOWN_SECONDS * 5)
    assert not waiting.done()
    harness.store.put_trainingjob(trainingjob())
    await waiting


async def test_messages_do_not_wait_for_a_trainingjob_that_was_deleted_meanwhile() -> None:
    harness = Harness(Lists(trainingjob()))
    waiting = asyncio.create_task(harness.resync.wait_until_shown(KEY.namespace))
    await asyncio.sleep(1)
    harness.cluster.trainingjobs = ()
    await waiting


async def test_what_was_deleted_while_a_watch_was_broken_is_dropped() -> None:
    harness = Harness(Lists(), full_store())
    await harness.run(RESYNC_SECONDS * 1.5)
    assert [harness.store.stored(kind, KEY.namespace) for kind in Kind] == [set(), set(), set()]


async def test_what_still_exists_is_kept_and_reconciled() -> None:
    harness = Harness(full_cluster(), full_store())
    await harness.run(RESYNC_SECONDS * 1.5)
    assert [len(harness.store.stored(kind, KEY.namespace)) for kind in Kind] == [1, 1, 1]
    assert harness.enqueued == [KEY, KEY]  # once it could be used, and by the resync


async def test_trouble_in_one_namespace_does_not_concern_another() -> None:
    cluster = Lists()
    cluster.errors[OTHER] = FORBIDDEN
    harness = Harness(cluster, full_store())
    await harness.run(RESYNC_SECONDS)
    assert harness.store.keys(KEY.namespace) == []
    assert (str(harness.condition), str(harness.namespaces.state(OTHER).condition)) == ("Usable", "Forbidden")


async def test_nothing_is_dropped_in_a_namespace_that_can_not_be_listed() -> None:
    cluster = Lists()
    cluster.errors[KEY.namespace] = FORBIDDEN
    harness = Harness(cluster, full_store())
    await harness.run(RESYNC_SECONDS * 1.5)
    assert harness.store.keys(KEY.namespace) == [KEY]


@pytest.mark.parametrize(
    ("error", "phase", "condition"),
    [
        (FORBIDDEN, "Active", "Forbidden"),
        (None, FORBIDDEN, "Usable"),
        (None, NO_NAMESPACE, "NotFound"),
        (None, "Terminating", "Terminating"),
        (ClusterError("did not answer"), "Active", "Unavailable"),
        (ClusterError("unauthorized", 401), "Active", "Unavailable"),
        (NOT_SERVED, "Active", "Unavailable"),
    ],
)
async def test_the_condition_of_a_namespace(
    error: ClusterError | None, phase: str | ClusterError, condition: str
) -> None:
    harness = Harness(full_cluster(), full_store())
    harness.cluster.phase = phase
    if error is not None:
        harness.cluster.errors[KEY.namespace] = error
    for _ in range(2):
        await harness.resync.check(KEY.namespace)
    assert str(harness.condition) == condition


async def test_a_condition_is_logged_once_and_so_is_the_end_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = Harness(full_cluster(), full_store())
    harness.cluster.errors[KEY.namespace] = FORBIDDEN
    await harness.run(RESYNC_SECONDS)
    assert harness.condition == Condition.FORBIDDEN
    assert [record.getMessage() for record in caplog.records] == [
        "namespace training: Forbidden: the operator has no permission there (cannot list pods). The namespace was deleted, or the"
        " operator's RoleBinding in it. Create it again and run helm upgrade, or remove its queue from the values"
    ]
    harness.cluster.errors.clear()
    harness.enqueued.clear()
    await harness.run(TROUBLE_SECONDS)
    assert str(harness.condition) == "Usable"
    assert "Usable again, after 300 s" in caplog.text
    assert harness.enqueued == [KEY]


async def test_trainings_of_a_namespace_that_is_being_deleted_are_reconciled_once_it_can_be_listed_again() -> None:
    harness = Harness(full_cluster(), full_store())
    harness.cluster.errors[KEY.namespace] = FORBIDDEN
    await harness.run(1)
    harness.cluster.errors.clear()
    harness.cluster.phase = "Terminating"
    await harness.run(1)
    assert (str(harness.condition), harness.enqueued) == ("Terminating", [KEY])


async def test_a_training_whose_job_was_deleted_unseen_is_reconciled_at_once() -> None:
    harness = Harness(full_cluster(), full_store())
    await harness.resync.check(KEY.namespace)
    harness.cluster.children[Kind.JOB] = []
    harness.enqueued.clear()
    await harness.resync.check(KEY.namespace)
    assert harness.enqueued == [KEY]


async def test_one_failed_request_is_no_condition(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(full_cluster(), full_store())
    task = asyncio.create_task(harness.resync.run(KEY.namespace))
    await asyncio.sleep(CHECK_SECONDS / 2)
    harness.cluster.errors[KEY.namespace] = ClusterError("429 too many requests", 429)
    await asyncio.sleep(CHECK_SECONDS / 2 + 1)
    harness.cluster.errors.clear()
    await asyncio.sleep(TROUBLE_SECONDS)
    assert (harness.condition, caplog.text) == (Condition.USABLE, "")
    task.cancel()


async def test_a_refused_request_has_a_namespace_checked_before_its_time() -> None:
    harness = Harness(full_cluster(), full_store())
    task = asyncio.create_task(harness.resync.run(KEY.namespace))
    await asyncio.sleep(CHECK_SECONDS / 2)
    harness.cluster.errors[KEY.namespace] = FORBIDDEN
    harness.namespaces.check_soon(KEY.namespace)
    await asyncio.sleep(1)
    assert harness.condition == Condition.FORBIDDEN
    task.cancel()


async def test_many_refused_requests_are_no_reason_for_many_checks() -> None:
    harness = Harness(full_cluster(), full_store())
    task = asyncio.create_task(harness.resync.run(KEY.namespace))
    for _ in range(100):
        harness.namespaces.check_soon(KEY.namespace)
        await asyncio.sleep(0.1)
    assert harness.cluster.lists <= 6 * len(Kind)
    task.cancel()


# -------------------------------------------------------------------------------------------------- the age of the watches


async def test_watches_that_show_what_lists_show_have_no_lag() -> None:
    harness = Harness(full_cluster(), full_store())
    await harness.run(5 * CHECK_SECONDS)
    assert harness.lag.seconds(KEY.namespace) == 0


async def test_the_lag_is_the_age_of_the_oldest_change_that_no_watch_showed() -> None:
    harness = Harness(full_cluster("8"), full_store())
    await harness.run(3 * CHECK_SECONDS + 1)
    assert harness.lag.seconds(KEY.namespace) == pytest.approx(3 * CHECK_SECONDS, abs=2)
    for item in harness.cluster.trainingjobs:
        harness.store.put_trainingjob(item)
    assert harness.lag.seconds(KEY.namespace) > 0
    harness.store.put_job(KEY, child("cats", "8"))
    harness.store.put_pod(KEY, child("cats-0-abcde", "9"))
    assert harness.lag.seconds(KEY.namespace) == 0


async def test_an_object_that_no_watch_has_shown_counts() -> None:
    harness = Harness(full_cluster())
    await harness.run(2 * CHECK_SECONDS + 1)
    assert harness.lag.seconds(KEY.namespace) > CHECK_SECONDS


async def test_a_change_just_before_a_list_is_no_lag() -> None:
    harness = Harness(full_cluster("8"), full_store())
    await harness.resync.check(KEY.namespace)
    assert harness.lag.seconds(KEY.namespace) == 0


async def test_a_trainingjob_that_does_not_match_the_schema_is_not_missed() -> None:
    harness = Harness(Lists(trainingjob()))
    harness.store.put_invalid(KEY, "7")
    await harness.run(3 * CHECK_SECONDS)
    assert harness.lag.seconds(KEY.namespace) == 0


async def test_a_namespace_that_can_not_be_listed_has_no_lag() -> None:
    harness = Harness(full_cluster("8"), full_store())
    await harness.run(3 * CHECK_SECONDS)
    harness.cluster.errors[KEY.namespace] = FORBIDDEN
    await harness.resync.check(KEY.namespace)
    assert harness.lag.seconds(KEY.namespace) == 0


async def test_a_namespace_is_up_once_its_trainingjobs_could_be_listed() -> None:
    def up() -> float | None:
        return metrics.REGISTRY.get_sample_value("vott_train_namespace_up", {"training_namespace": KEY.namespace})

    harness = Harness(full_cluster(), full_store())
    harness.cluster.errors[KEY.namespace] = FORBIDDEN
    await harness.resync.check(KEY.namespace)
    assert up() == 0
    harness.cluster.errors.clear()
    for phase in ("Active", "Terminating"):
        harness.cluster.phase = phase
        await harness.resync.check(KEY.namespace)
        assert up() == 1


async def test_after_a_resync_the_running_trainings_are_known() -> None:
    running = trainingjob(status={"phase": "Running"})
    harness = Harness(Lists(running))
    harness.store.put_trainingjob(running)
    before = harness.store.observed(KEY)
    await harness.run(RESYNC_SECONDS * 1.5)
    after = harness.store.observed(KEY)
    assert before is not None
    assert after is not None
    assert [(item.running, item.counts_all) for item in (before, after)] == [(1, False), (1, True)]


async def test_a_namespace_that_can_not_be_listed_does_not_keep_the_running_trainings_unknown() -> None:
    harness = Harness(full_cluster(), full_store())
    harness.cluster.errors = {KEY.namespace: FORBIDDEN, OTHER: FORBIDDEN}
    await harness.run(RESYNC_SECONDS * 1.5)
    assert harness.store.is_complete


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
