"""What the operator counts, and the server that Prometheus scrapes."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from localcluster.ports import free_ports
from tests.support.observed_state import (
    CALLBACK,
    HOUR_AGO,
    NOW,
    complete_status,
    condition,
    failed_status,
    job,
    observed,
    pending_status,
    pod,
    running_pod,
    running_status,
    suspended_status,
    trainingjob,
)
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import MessageRejectedError, SettingsError, SourceUnavailableError
from vott_messaging.queues.base import Backlog, Delivery, QueueSource
from vott_messaging.queues.memory import MemoryQueue
from vott_messaging.settings.queue import QueueSettings
from vott_operator import metrics
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.namespaces import Namespaces
from vott_operator.cluster.request_metrics import counted, request_labels
from vott_operator.cluster.status_metrics import count_change
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError
from vott_operator.intake.capacity import Capacity
from vott_operator.intake.conversion import Converter
from vott_operator.intake.intake import Intake
from vott_operator.monitoring.backlog import watch_backlog
from vott_operator.monitoring.gpu_use import GpuUse
from vott_operator.monitoring.metered_source import MeteredSource
from vott_operator.monitoring.queue_labels import queue_label
from vott_operator.monitoring.reasons import TRAINER_REASONS, bounded_reason
from vott_operator.monitoring.server import MetricsServer
from vott_operator.monitoring.state import StateCollector
from vott_operator.settings.queue import QueueLimits
from vott_operator.workqueue import WorkQueue
from vott_trainer import errors

IDENTITY = "storage://acme.queue.core.windows.net/cats"


def value(name: str, /, **labels: str) -> float:
    """A value of the registry; 0 while there is none."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def has(name: str, /, **labels: str) -> bool:
    return metrics.REGISTRY.get_sample_value(name, labels) is not None


@pytest.fixture
def label(request: pytest.FixtureRequest) -> str:
    """A queue or namespace of the test's own, because the registry belongs to the process."""
    return str(request.node.name)


# --------------------------------------------------------------------------------------------------------------- server


async def test_the_server_offers_all_metrics_in_prometheus_format() -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/metrics"
    async with MetricsServer(f"127.0.0.1:{port}"), aiohttp.ClientSession() as session, session.get(url) as answer:
        families = {family.name for family in text_string_to_metric_families(await answer.text())}
    assert {"vott_train_leader", "vott_train_messages_settled", "process_resident_memory_bytes"} <= families


@pytest.mark.parametrize("address", ["9090", "http://0.0.0.0/metrics", "host:port", ""])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="--metrics"):
        MetricsServer(address)


async def test_a_port_in_use_is_refused_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match="choose another"):
            async with MetricsServer(f"127.0.0.1:{port}"):
                pass


# --------------------------------------------------------------------------------------------------------------- queues


@pytest.mark.parametrize(
    ("names", "expected"), [(["cats", "dogs"], "cats"), (["cats", "cats"], "acme.queue.core.windows.net/cats")]
)
def test_a_queue_is_labelled_by_its_name_unless_another_has_that_name(names: list[str], expected: str) -> None:
    queues = [QueueSettings(name=name) for name in names]
    assert queue_label(queues[0], IDENTITY, queues) == expected


async def test_every_received_message_is_counted_with_what_became_of_it(label: str) -> None:
    queue = MemoryQueue(asyncio.get_running_loop().time)
    source = MeteredSource(queue, label)
    ids = [queue.send("{}") for _ in range(3)]
    rejected, given_back, lost = await source.receive(3, 0)
    await source.dead_letter(rejected, "NotJSON", "It is not JSON.")
    await source.abandon(given_back)
    del queue._messages[ids[2]]
    assert not await source.complete(lost)
    assert value("vott_train_messages_received_total", queue=label) == 3
    results = ("rejected", "given_back", "lock_lost")
    assert [value("vott_train_messages_settled_total", queue=label, result=result) for result in results] == [1, 1, 1]
    assert value("vott_train_messages_rejected_total", queue=label, reason="NotJSON") == 1


async def test_a_queue_is_up_until_receiving_fails(label: str) -> None:
    queue = UnreliableQueue()
    source = MeteredSource(queue, label)
    await source.receive(1, 0)
    assert value("vott_train_queue_up", queue=label) == 1
    queue.is_reachable = False
    with pytest.raises(SourceUnavailableError):
        await source.receive(1, 0)
    assert has("vott_train_queue_up", queue=label)
    assert value("vott_train_queue_up", queue=label) == 0
    assert value("vott_train_receive_errors_total", queue=label) == 1


class UnreliableQueue(MemoryQueue):
    """A queue that may be unreachable."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop().time)
        self.is_reachable = True

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        self._check()
        return await super().receive(limit, wait_seconds)

    async def backlog(self) -> Backlog:
        self._check()
        return await super().backlog()

    def _check(self) -> None:
        if not self.is_reachable:
            raise SourceUnavailableError("no answer")


@pytest.mark.looptime
async def test_the_backlog_is_absent_while_the_queue_does_not_tell_it(label: str) -> None:
    queue = UnreliableQueue()
    queue.send("{}", enqueued=NOW)
    task = asyncio.create_task(watch_backlog(queue, label))
    await asyncio.sleep(1)
    assert value("vott_train_queue_messages", queue=label) == 1
    assert value("vott_train_queue_oldest_message_timestamp_seconds", queue=label) == NOW.timestamp()
    queue.is_reachable = False
    await asyncio.sleep(60)
    assert not has("vott_train_queue_messages", queue=label)
    assert not has("vott_train_queue_oldest_message_timestamp_seconds", queue=label)
    queue.is_reachable = True
    await asyncio.sleep(60)
    assert has("vott_train_queue_messages", queue=label)
    task.cancel()


class FakeConverter:
    """Calls a function for each message."""

    def __init__(self, convert: Callable[[Delivery], TrainingJob]) -> None:
        self._convert = convert

    async def convert(self, delivery: Delivery) -> TrainingJob:
        return self._convert(delivery)


def intake(queue: QueueSource, convert: Callable[[Delivery], TrainingJob], label: str, limit: int = 10) -> Intake:
    """An intake that accepts every message with `convert`."""
    source = MeteredSource(queue, label)
    rejection = cast("Rejection", FakeRejection(source))
    converter = cast("Converter", FakeConverter(convert))
    capacity = Capacity(Store(NOW), source.identity, QueueLimits(limit, limit))
    namespaces = Namespaces(["training"], lambda: NOW)
    return Intake(source, converter, rejection, capacity, namespaces, "training", lambda _: None, lambda _: None, label)


class FakeRejection:
    """Only dead-letters."""

    def __init__(self, source: QueueSource) -> None:
        self._source = source

    async def reject(self, delivery: Delivery, error: MessageRejectedError) -> None:
        await self._source.dead_letter(delivery, error.reason, str(error))


def of_message(message_id: str) -> TrainingJob:
    return trainingjob(metadata={"annotations": {c.ANNOTATION_MESSAGE_ID: message_id}})


async def test_created_and_duplicate_messages_are_told_apart(label: str) -> None:
    queue = MemoryQueue(asyncio.get_running_loop().time)
    queue.send("{}", "first", enqueued=NOW)
    queue.send("{}", "second")
    work = intake(queue, lambda _: of_message("first"), label)
    await work.receive_batch()
    assert value("vott_train_messages_in_flight", queue=label) == 2
    await work.wait_until_idle()
    await asyncio.sleep(0)
    assert value("vott_train_messages_settled_total", queue=label, result="created") == 1
    assert value("vott_train_messages_settled_total", queue=label, result="duplicate") == 1
    assert value("vott_train_messages_in_flight", queue=label) == 0
    assert value("vott_train_intake_latency_seconds_count", queue=label) == 1


@pytest.mark.looptime
async def test_failed_attempts_at_a_message_are_counted_and_rejections_are_none(label: str) -> None:
    attempts = 0

    def convert(_: Delivery) -> TrainingJob:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ClusterError("503")
        raise MessageRejectedError("NotJSON", "It is not JSON.")

    queue = MemoryQueue(asyncio.get_running_loop().time)
    queue.send("{}")
    work = intake(queue, convert, label)
    await work.receive_batch()
    await work.wait_until_idle()
    assert value("vott_train_message_errors_total", queue=label) == 1
    assert value("vott_train_messages_settled_total", queue=label, result="rejected") == 1


@pytest.mark.looptime
async def test_an_intake_without_capacity_is_paused(label: str) -> None:
    queue = MemoryQueue(asyncio.get_running_loop().time)
    work = intake(queue, lambda _: of_message("first"), label, limit=1)
    await work.receive_batch()
    assert value("vott_train_intake_paused", queue=label) == 0
    work.capacity._store.put_trainingjob(trainingjob(metadata={"annotations": {c.ANNOTATION_QUEUE: queue.identity}}))
    await work.receive_batch()
    assert value("vott_train_intake_paused", queue=label) == 1


# --------------------------------------------------------------------------------------------------------- TrainingJobs


def labels_of(before: TrainingJob, after: TrainingJob, *names: str, **labels: str) -> list[float]:
    """How much counters grow by one change."""
    namespace = {"training_namespace": "training"}
    old = [value(name, **namespace, **labels) for name in names]
    count_change(before, after, NOW)
    return [value(name, **namespace, **labels) - start for name, start in zip(names, old, strict=True)]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (complete_status(), "succeeded"),
        (failed_status(), "failed"),
        (failed_status(reason=c.CANCELLED), "cancelled"),
    ],
    ids=["succeeded", "failed", "cancelled"],
)
def test_an_end_is_counted_once(status: dict[str, Any], outcome: str) -> None:
    before, after = trainingjob(None, running_status()), trainingjob(None, status)
    finished = "vott_train_trainingjobs_finished_total"
    assert labels_of(before, after, finished, outcome=outcome) == [1]
    assert labels_of(after, after, finished, outcome=outcome) == [0]


@pytest.mark.parametrize(
    ("reason", "cause"), [(c.RETRYING, "failure"), (c.INTERRUPTED, "interruption"), (c.NODE_LOST, "interruption")]
)
def test_a_restart_is_counted_once_with_its_cause(reason: str, cause: str) -> None:
    before, after = trainingjob(None, running_status()), trainingjob(None, pending_status(reason))
    assert labels_of(before, after, "vott_train_trainingjob_restarts_total", cause=cause) == [1]
    assert labels_of(after, after, "vott_train_trainingjob_restarts_total", cause=cause) == [0]


def test_the_wait_ends_with_the_first_run() -> None:
    created = {"creationTimestamp": HOUR_AGO}
    waiting, running = trainingjob(metadata=created), trainingjob(None, running_status(), created)
    names = ("vott_train_trainingjob_wait_seconds_count", "vott_train_trainingjob_wait_seconds_sum")
    assert labels_of(waiting, running, *names) == [1, 3600]
    assert labels_of(running, running, *names) == [0, 0]


def gpu_seconds(*passes: Any, gpus: int = 2) -> tuple[float, float]:
    """GPU seconds used and wasted after passes that saw these pods, one or none each; the status has a checkpoint half an hour old."""
    checkpoint = {"url": "https://host/c", "epoch": 3, "time": "2026-01-01T11:30:00Z"}
    tj = trainingjob({"trainer": {"gpus": gpus}}, running_status(checkpoint=checkpoint))
    names = ("vott_train_gpu_seconds_total", "vott_train_gpu_seconds_wasted_total")
    before = [value(name, training_namespace="training") for name in names]
    use = GpuUse(lambda: NOW)
    for pods in passes:
        use.observe(tj.key, observed(tj, job(), *pods))
    used, wasted = (
        value(name, training_namespace="training") - start for name, start in zip(names, before, strict=True)
    )
    return used, wasted


RUNS = running_pod(started_at=HOUR_AGO)
SUCCEEDED = pod(phase="Succeeded", exit_code=0, started_at=HOUR_AGO, finished_at="2026-01-01T11:50:00Z")
EVICTED = pod(phase="Failed", exit_code=143, started_at=HOUR_AGO, finished_at="2026-01-01T11:50:00Z")
FAILED = pod(phase="Failed", exit_code=1, started_at=HOUR_AGO, finished_at="2026-01-01T11:50:00Z")


@pytest.mark.parametrize(
    ("passes", "used", "wasted"),
    [
        ([[RUNS]], 0, 0),
        ([[RUNS], [SUCCEEDED], [SUCCEEDED]], 6000, 0),
        ([[RUNS], [FAILED]], 6000, 0),
        ([[RUNS], [EVICTED]], 6000, 2400),
        ([[RUNS], []], 7200, 3600),
        ([[SUCCEEDED]], 0, 0),
    ],
    ids=["running", "succeeded", "failed", "evicted", "gone", "ended before this operator led"],
)
def test_gpu_time_is_counted_at_the_end_and_an_interruption_wastes_what_no_checkpoint_has(
    passes: list[Any], used: float, wasted: float
) -> None:
    assert gpu_seconds(*passes) == (used, wasted)


def test_an_interrupted_training_without_a_checkpoint_wastes_all() -> None:
    tj, use = trainingjob(None, running_status()), GpuUse(lambda: NOW)
    before = value("vott_train_gpu_seconds_wasted_total", training_namespace="training")
    use.observe(tj.key, observed(tj, job(), RUNS))
    use.observe(tj.key, observed(tj, job(), EVICTED))
    assert value("vott_train_gpu_seconds_wasted_total", training_namespace="training") - before == 3000


def test_the_end_of_a_deleted_training_is_no_waste() -> None:
    tj, use = trainingjob(None, running_status()), GpuUse(lambda: NOW)
    deleted = trainingjob(None, running_status(), {"deletionTimestamp": HOUR_AGO, "finalizers": [c.FINALIZER]})
    before = value("vott_train_gpu_seconds_wasted_total", training_namespace="training")
    use.observe(tj.key, observed(tj, job(), RUNS))
    use.observe(tj.key, observed(deleted, None, EVICTED))
    assert value("vott_train_gpu_seconds_wasted_total", training_namespace="training") == before


# ---------------------------------------------------------------------------------------------------------- the Store


Samples = dict[str, dict[tuple[str, ...], float]]


def collected(*trainingjobs: TrainingJob, leads: bool = True, store: Store | None = None) -> Samples:
    """What a scrape sees of a Store: for each metric the values by their labels' values."""
    store = store or Store(NOW)
    for tj in trainingjobs:
        store.put_trainingjob(tj)
    limits = {"cats": QueueLimits(1000, 500)}
    collector = StateCollector(store, {IDENTITY: "cats"}, limits, lambda: leads, lambda: NOW)
    return {
        metric.name.removeprefix("vott_train_"): {
            tuple(sample.labels.values()): sample.value for sample in metric.samples
        }
        for metric in collector.collect()
    }


def named(
    name: str, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any
) -> TrainingJob:
    return trainingjob(spec, status, {"name": name, "uid": name, **metadata})


def test_trainingjobs_are_counted_by_phase_and_known_reason() -> None:
    found = collected(
        named("a", None, running_status()),
        named("b", None, running_status()),
        named("c", None, failed_status(reason="BadAnnotations")),
        named("d", None, failed_status(reason="WhateverAnImageSays")),
        named("e"),
    )
    assert found["trainingjobs"] == {
        ("training", "Running", "TrainerRunning"): 2,
        ("training", "Failed", "BadAnnotations"): 1,
        ("training", "Failed", "Other"): 1,
        ("training", "Pending", ""): 1,
    }


def test_pending_since_is_that_of_the_longest_wait_for_each_reason() -> None:
    earlier = (NOW - timedelta(hours=2)).isoformat()
    found = collected(
        named("a", None, pending_status("Unschedulable")),
        named("b", creationTimestamp=earlier),
        named("c", creationTimestamp=HOUR_AGO),
    )
    assert found["trainingjobs_pending_since_timestamp_seconds"] == {
        ("training", "Unschedulable"): (NOW - timedelta(hours=1)).timestamp(),
        ("training", ""): (NOW - timedelta(hours=2)).timestamp(),
    }


def test_stalled_trainings_and_gpus_in_use_are_counted() -> None:
    store = Store(NOW)
    stalled = running_status(conditions=[condition(c.STALLED, reason=c.NO_PROGRESS)])
    tj = trainingjob({"trainer": {"gpus": 4}}, stalled)
    store.put_trainingjob(tj)
    states: dict[str, Any] = {"cats-0-a": {"running": {}}, "cats-1-b": {"running": {}}, "cats-2-c": {}}
    for name, state in states.items():
        status = {"phase": "Running", "containerStatuses": [{"name": "trainer", "state": state}]}
        store.put_pod(tj.key, {"metadata": {"name": name}, "status": status})
    found = collected(store=store)
    assert found["trainingjobs_stalled"] == {("training",): 1}
    assert found["gpus_in_use"] == {("training",): 8}


def test_unfinished_trainingjobs_are_counted_by_queue() -> None:
    found = collected(
        named("a", annotations={c.ANNOTATION_QUEUE: IDENTITY}),
        named("b"),
        named("c", None, complete_status(), annotations={c.ANNOTATION_QUEUE: IDENTITY}),
    )
    assert found["unfinished_trainingjobs"] == {("cats",): 1, ("",): 1}
    assert found["unfinished_trainingjobs_limit"] == {("cats",): 1000}


def test_trainingjobs_that_wait_for_quota_count_apart() -> None:
    waits = suspended_status(c.WAITING_FOR_QUOTA)
    found = collected(named("a", None, waits, annotations={c.ANNOTATION_QUEUE: IDENTITY}))
    assert found["unfinished_trainingjobs"] == {("cats",): 0}
    assert found["waiting_for_quota_trainingjobs"] == {("cats",): 1}
    assert found["waiting_for_quota_trainingjobs_limit"] == {("cats",): 500}


def test_callbacks_wait_from_the_end_of_the_training_until_delivered_or_given_up() -> None:
    delivered = condition(c.CALLBACK_DELIVERED, reason=c.DELIVERED)
    retrying = condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING)
    given_up = condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_GIVEN_UP)
    found = collected(
        named("a", CALLBACK, complete_status()),
        named("b", CALLBACK, complete_status(retrying)),
        named("c", CALLBACK, complete_status(delivered)),
        named("d", CALLBACK, complete_status(given_up)),
        named("e", None, complete_status()),
        named("f", CALLBACK, running_status()),
    )
    assert found["callbacks_pending"] == {(): 2}
    since = (NOW - timedelta(hours=1)).timestamp()
    assert found["callbacks_pending_since_timestamp_seconds"] == {(): since}


def test_a_standby_shows_nothing_of_the_store() -> None:
    assert collected(named("a"), leads=False) == {}


def test_the_trainers_reasons_are_known() -> None:
    reasons = {error.reason for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "reason")}
    assert reasons == TRAINER_REASONS
    assert bounded_reason(None) == ""


# --------------------------------------------------------------------------------------------------------- the work


async def test_passes_and_errors_of_a_work_queue_are_counted(label: str) -> None:
    queue = WorkQueue[str](label, workers=1, expected=ClusterError)
    queue.add("a")
    queue.add("b")
    assert value("vott_train_workqueue_depth", name=label) == 2
    done = asyncio.Event()

    async def work(key: str) -> None:
        if key == "b":
            done.set()
        else:
            raise ClusterError("503")

    task = asyncio.create_task(queue.run(work))
    await done.wait()
    await asyncio.sleep(0)
    task.cancel()
    assert value("vott_train_workqueue_depth", name=label) == 0
    assert value("vott_train_workqueue_errors_total", name=label) == 1
    assert value("vott_train_workqueue_work_duration_seconds_count", name=label) == 2
    assert value("vott_train_workqueue_queue_duration_seconds_count", name=label) == 2


TRAININGJOBS = "apis/vott.dev/v1alpha1/namespaces/team-b/trainingjobs"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", f"{TRAININGJOBS}?limit=250&", ("list", "trainingjobs")),
        ("GET", f"{TRAININGJOBS}/cats", ("get", "trainingjobs")),
        ("PATCH", f"{TRAININGJOBS}/cats/status", ("patch", "trainingjobs/status")),
        ("POST", "apis/batch/v1/namespaces/team-b/jobs", ("create", "jobs")),
        ("DELETE", "apis/batch/v1/namespaces/team-b/jobs/cats", ("delete", "jobs")),
        ("GET", "api/v1/namespaces/team-b/pods?limit=250&labelSelector=a%2Fb", ("list", "pods")),
        ("PUT", "apis/coordination.k8s.io/v1/namespaces/team-b/leases/vott", ("update", "leases")),
        ("GET", "api/v1/namespaces/team-b/secrets/cats-urls", ("get", "secrets")),
        ("GET", "apis/x/y/z", ("get", "other")),
    ],
)
def test_requests_are_labelled_by_verb_and_resource_without_names(
    method: str, path: str, expected: tuple[str, str]
) -> None:
    assert request_labels(method, path) == expected


@pytest.mark.parametrize(
    ("error", "code"), [(None, "2xx"), (ClusterError("no", 403), "403"), (ClusterError("no answer"), "none")]
)
async def test_requests_are_counted_by_status(error: ClusterError | None, code: str) -> None:
    class Client:
        @counted
        async def send(self, method: str, path: str) -> str:  # noqa: ARG002
            if error is not None:
                raise error
            return "answer"

    labels = {"verb": "list", "resource": "trainingjobs", "code": code}
    before = value("vott_train_api_requests_total", **labels)
    with suppress(ClusterError):
        assert await Client().send("GET", TRAININGJOBS) == "answer"
        assert error is None
    assert value("vott_train_api_requests_total", **labels) - before == 1
