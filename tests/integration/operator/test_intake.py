"""Intake against a real API server, with an in-memory queue: create the TrainingJob, then complete the message."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.callbacks import CallbackReceiver
from localcluster.ports import free_ports
from tests.support.operator_harness import LOCAL, OperatorHarness
from vott_guard.backoff import Backoff
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.delivery import rejection, retries
from vott_messaging.errors import LostMessageError, SourceUnavailableError
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import LOCK_SECONDS, MemoryQueue
from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.outgoing import OutgoingSettings
from vott_operator.api.names import Key
from vott_operator.app import App
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.errors import ClusterError
from vott_operator.intake import intake as intake_module
from vott_operator.intake.intake import Intake
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings

MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models?sig=S"}
BODY = json.dumps(MESSAGE)
WEB = {"projectId": "p1", "requestId": 7, "url": "https://host/a.csv?sig=S"}


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class KilledError(BaseException):
    """Simulates the end of the process; nothing catches it."""


@dataclass
class Bench:
    """An in-memory queue with its intake and app."""

    queue: MemoryQueue
    intake: Intake
    app: App
    clock: Clock

    async def process_batch(self) -> None:
        """Receive a batch and process it."""
        await self.intake.receive_batch()
        await self.intake.wait_until_idle()

    def is_settled(self, key: Key) -> bool:
        """Whether the app knows that the TrainingJob's message is settled."""
        observed = self.app.store.observed(key)
        return observed is not None and observed.message_settled

    async def process_redelivered(self) -> None:
        """Let the locks expire, then receive and process another batch."""
        self.clock.now += LOCK_SECONDS
        await self.process_batch()


Build = Callable[..., Bench]


@pytest.fixture
async def build(harness: OperatorHarness, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Build]:
    monkeypatch.setattr(retries, "BACKOFF", Backoff(first=0.01, longest=0.01))
    async with CallbackSender(CallbackSettings(timeout_seconds=10), OutgoingSettings(**LOCAL).rules) as callbacks:

        def build_bench(queue: dict[str, Any] | None = None, **settings: Any) -> Bench:
            clock = Clock()
            source, app = MemoryQueue(clock), App(Settings(namespace=harness.name, **settings))
            bindings = RoleBindingFinalizers(cluster, app.store, "", harness.name)
            intake = app.build_intake(source, OperatorQueueSettings(**(queue or {})), cluster, callbacks, bindings)
            return Bench(source, intake, app, clock)

        yield build_bench


@pytest.fixture
def bench(build: Build) -> Bench:
    return build()


async def test_a_message_is_completed_only_after_its_trainingjob_exists(
    harness: OperatorHarness, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    async def complete(_: MemoryQueue, delivery: Delivery) -> bool:  # noqa: ARG001
        counts.append(len(harness.trainingjobs()) + len(harness.kubectl.list("secrets", "vott.dev/trainingjob")))
        return True

    monkeypatch.setattr(MemoryQueue, "complete", complete)
    bench.queue.send(BODY)
    await bench.process_batch()
    assert counts == [2]


@pytest.mark.parametrize("step", ["before the TrainingJob", "before the Secret", "before settling"])
async def test_a_kill_at_any_step_neither_loses_nor_duplicates_a_message(
    harness: OperatorHarness, cluster: Cluster, bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def killed(*_: object) -> None:
        raise KilledError

    bench.queue.send(BODY)
    with monkeypatch.context() as patch:
        calls = {
            "before the TrainingJob": (cluster, "create_trainingjob"),
            "before the Secret": (cluster, "create_secret"),
            "before settling": (MemoryQueue, "complete"),
        }
        patch.setattr(*calls[step], killed)
        await bench.process_batch()
    assert len(bench.queue) == 1
    await bench.process_redelivered()
    secrets = harness.kubectl.list("secrets", "vott.dev/trainingjob")
    assert (len(bench.queue), len(harness.trainingjobs()), len(secrets), bench.queue.dead_letters) == (0, 1, 1, [])


async def test_a_message_stays_locked_while_the_api_server_fails(
    harness: OperatorHarness, cluster: Cluster, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = cluster.create_trainingjob, iter(range(20))

    async def unavailable(manifest: dict[str, Any]) -> Any:
        if next(failures, None) is not None:
            raise ClusterError("429 too many requests", 429)
        return await real(manifest)

    monkeypatch.setattr(cluster, "create_trainingjob", unavailable)
    bench.queue.send(BODY)
    await bench.process_batch()
    assert (len(bench.queue), len(harness.trainingjobs()), bench.queue.attempts) == (0, 1, 1)


async def test_a_lock_is_renewed_while_a_message_is_processed(
    cluster: Cluster, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    proceed, renewed = asyncio.Event(), asyncio.Event()
    real = cluster.create_trainingjob

    async def slow(manifest: dict[str, Any]) -> Any:
        await proceed.wait()
        return await real(manifest)

    async def renew_lock(_: MemoryQueue, delivery: Delivery) -> None:  # noqa: ARG001
        renewed.set()

    monkeypatch.setattr("vott_messaging.queues.memory.LOCK_SECONDS", 0.03)
    monkeypatch.setattr(MemoryQueue, "renew_lock", renew_lock)
    monkeypatch.setattr(cluster, "create_trainingjob", slow)
    bench.queue.send(BODY)
    await bench.intake.receive_batch()
    await renewed.wait()
    proceed.set()
    await bench.intake.wait_until_idle()
    assert len(bench.queue) == 0


async def test_a_message_with_a_lost_lock_is_dropped(
    harness: OperatorHarness, cluster: Cluster, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_: dict[str, Any]) -> Any:
        raise ClusterError("the API did not answer")

    async def lost(_: MemoryQueue, delivery: Delivery) -> None:
        raise LostMessageError(delivery.id)

    monkeypatch.setattr("vott_messaging.queues.memory.LOCK_SECONDS", 0.03)
    monkeypatch.setattr(MemoryQueue, "renew_lock", lost)
    monkeypatch.setattr(cluster, "create_trainingjob", unavailable)
    bench.queue.send(BODY)
    await bench.process_batch()  # returns although the API server still fails
    assert (len(bench.queue), harness.trainingjobs()) == (1, [])


async def test_a_message_that_causes_an_internal_error_is_dead_lettered_and_stops_no_others(
    harness: OperatorHarness, cluster: Cluster, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("vott_messaging.delivery.settlement.INTERNAL_ERROR_SECONDS", 0.05)
    bench.queue.send(BODY)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "create_trainingjob", fail)
        await bench.process_batch()
    assert [reason for _, reason, _ in bench.queue.dead_letters] == ["InternalError"]
    bench.queue.send(BODY)
    await bench.process_batch()
    assert len(harness.trainingjobs()) == 1


async def test_a_stop_abandons_locked_messages(cluster: Cluster, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unavailable(_: dict[str, Any]) -> Any:
        raise ClusterError("the API did not answer")

    monkeypatch.setattr(cluster, "create_trainingjob", unavailable)
    bench.queue.send(BODY)
    await bench.intake.receive_batch()
    await bench.intake.stop(0.05)
    assert len(await bench.queue.receive(1, 0)) == 1  # at once, not when the lock expires


async def test_a_stop_completes_messages_within_its_time(harness: OperatorHarness, bench: Bench) -> None:
    bench.queue.send(BODY)
    await bench.intake.receive_batch()
    await bench.intake.stop(30)
    assert (len(bench.queue), len(harness.trainingjobs())) == (0, 1)


async def test_without_capacity_nothing_is_received(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "FULL_SECONDS", 0.01)
    bench = build(max_unfinished_jobs=3)
    for _ in range(5):
        bench.queue.send(BODY)
    await bench.process_batch()
    assert len(bench.queue) == 2
    await bench.process_batch()
    assert len(bench.queue) == 2
    bench.app.store.drop_trainingjob(bench.app.store.keys(bench.app.settings.namespace)[0])
    await bench.process_batch()
    assert len(bench.queue) == 1


async def test_an_idle_queue_does_not_starve_another(build: Build) -> None:
    idle, busy = build(max_unfinished_jobs=1), build(max_unfinished_jobs=1)
    running = [asyncio.create_task(bench.intake.run()) for bench in (idle, busy)]
    await asyncio.sleep(0.1)
    busy.queue.send(BODY)
    await asyncio.wait_for(_until(lambda: len(busy.queue) == 0), 30)
    for task in running:
        task.cancel()


async def test_a_queue_with_many_messages_leaves_room_for_another(
    harness: OperatorHarness, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "FULL_SECONDS", 0.01)
    queues = [OperatorQueueSettings(name="team-a"), OperatorQueueSettings(name="team-b")]
    app = App(Settings(namespace=harness.name, queues=queues, max_unfinished_jobs=10))
    bindings = RoleBindingFinalizers(cluster, app.store, "", harness.name)
    benches: list[Bench] = []
    async with CallbackSender(CallbackSettings(), OutgoingSettings(**LOCAL).rules) as callbacks:
        for queue in queues:
            source = MemoryQueue(Clock(), f"memory://{queue.name}")
            benches.append(Bench(source, app.build_intake(source, queue, cluster, callbacks, bindings), app, Clock()))
        team_a, team_b = benches
        for bench, messages in ((team_a, 30), (team_b, 5)):
            for _ in range(messages):
                bench.queue.send(BODY)
        for _ in range(10):
            await team_a.process_batch()
        await team_b.process_batch()
    assert (len(team_a.queue), len(team_b.queue)) == (25, 0)
    assert len(harness.trainingjobs()) == 10


async def _until(is_true: Callable[[], bool]) -> None:
    while not is_true():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.05)


async def test_a_message_that_could_not_be_completed_is_not_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_: MemoryQueue, delivery: Delivery) -> bool:  # noqa: ARG001
        return False

    bench.queue.send(BODY)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryQueue, "complete", lost)
        await bench.process_batch()
    (key,) = bench.app.store.keys(bench.app.settings.namespace)
    assert not bench.is_settled(key)
    await bench.process_redelivered()
    assert bench.is_settled(key)


async def test_completing_a_duplicate_does_not_settle_the_first_message(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = build({"duplicate_window_seconds": 3600})
    real = MemoryQueue.complete

    async def only_the_second(queue: MemoryQueue, delivery: Delivery) -> bool:
        return delivery.id == "second" and await real(queue, delivery)

    monkeypatch.setattr(MemoryQueue, "complete", only_the_second)
    for message_id in ("first", "second"):
        bench.queue.send(BODY, message_id)
        await bench.process_batch()
    (key,) = bench.app.store.keys(bench.app.settings.namespace)
    assert not bench.is_settled(key)


async def test_a_short_outage_of_the_queue_costs_no_delivery(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = MemoryQueue.complete, iter(range(3))

    async def unavailable(queue: MemoryQueue, delivery: Delivery) -> bool:
        if next(failures, None) is not None:
            raise SourceUnavailableError("no route")
        return await real(queue, delivery)

    monkeypatch.setattr(MemoryQueue, "complete", unavailable)
    bench.queue.send(BODY)
    await bench.process_batch()
    assert (len(bench.queue), bench.queue.attempts) == (0, 1)


async def test_a_rejected_message_does_not_block_the_queue(
    harness: OperatorHarness, build: Build, receiver: CallbackReceiver
) -> None:
    bench = build(max_unfinished_jobs=1)
    bench.queue.send(json.dumps({"status": receiver.url}))
    await bench.process_batch()
    bench.queue.send(BODY)
    await bench.process_batch()
    assert (len(bench.queue), len(harness.trainingjobs()), len(bench.queue.dead_letters)) == (0, 1, 1)
    assert [item["state"] for item in receiver.posts] == ["failed"]


async def test_a_rejected_message_is_dead_lettered_although_its_callback_fails(bench: Bench) -> None:
    (port,) = free_ports(1)
    bench.queue.send(f'{{"status": "https://127.0.0.1:{port}/s"}}')
    await bench.process_batch()
    assert (len(bench.queue), len(bench.queue.dead_letters)) == (0, 1)


async def test_a_rejected_message_waits_only_a_limited_time_for_a_silent_callback(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(CallbackSender, "send", silent)
    monkeypatch.setattr(rejection, "CALLBACK_SECONDS", 0.05)
    bench.queue.send('{"status": "https://host/s"}')
    await asyncio.wait_for(bench.process_batch(), 30)
    assert (len(bench.queue), len(bench.queue.dead_letters)) == (0, 1)


async def test_an_unavailable_queue_is_an_error_and_reserves_no_capacity(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> list[Delivery]:
        raise SourceUnavailableError("storage://x: no route")

    monkeypatch.setattr(MemoryQueue, "receive", unavailable)
    with pytest.raises(SourceUnavailableError):
        await bench.intake.receive_batch()
    assert bench.intake.capacity.available == 1000  # no reservation remains


async def test_a_reused_id_with_other_content_is_another_training(harness: OperatorHarness, bench: Bench) -> None:
    for sequence, body in (("1", BODY), ("2", BODY.replace("a.csv", "b.csv"))):
        bench.queue.send(body, "one", sequence)
        await bench.process_batch()
    urls = {item["metadata"]["name"]: item["spec"]["annotations"]["url"] for item in harness.trainingjobs()}
    assert sorted(urls.values()) == ["https://host/a.csv", "https://host/b.csv"]
    assert all(bench.is_settled(Key(harness.name, name)) for name in urls)
    assert bench.queue.dead_letters == []


async def test_a_message_that_is_sent_again_during_its_training_is_a_duplicate(
    harness: OperatorHarness, bench: Bench
) -> None:
    for sequence in ("1", "2"):
        bench.queue.send(BODY, "one", sequence, datetime.now(UTC))
        await bench.process_batch()
    assert (len(bench.queue), len(harness.trainingjobs()), bench.queue.dead_letters) == (0, 1, [])
    assert "has the same content and the same id" in harness.kubectl("get", "events")


async def test_the_same_content_within_the_duplicate_window_is_a_duplicate(
    harness: OperatorHarness, build: Build
) -> None:
    bench = build({"duplicate_window_seconds": 3600})
    for body in (BODY, BODY.replace(", ", ",\n"), BODY.replace("a.csv", "b.csv")):
        bench.queue.send(body)
    await bench.process_batch()
    assert (len(bench.queue), len(harness.trainingjobs()), bench.queue.dead_letters) == (0, 2, [])
    assert "has the same content" in harness.kubectl("get", "events")


async def test_the_same_content_without_a_duplicate_window_is_another_training(
    harness: OperatorHarness, bench: Bench
) -> None:
    for _ in range(2):
        bench.queue.send(BODY)
    await bench.process_batch()
    assert len(harness.trainingjobs()) == 2


async def test_vott_webs_message_gets_the_queues_defaults(harness: OperatorHarness, build: Build) -> None:
    bench = build(
        {
            "model": "https://store/models/{projectId}/{requestId}.tgz",
            "callback": "https://web/api/{projectId}?request={requestId}",
            "parameters": {"epochs": 3},
        },
        ttl_seconds_after_finished=60,
    )
    bench.queue.send(json.dumps(WEB))
    await bench.process_batch()
    (trainingjob,) = harness.trainingjobs()
    assert trainingjob["spec"]["annotations"]["url"] == "https://host/a.csv"
    assert trainingjob["spec"]["model"]["url"] == "https://store/models/p1/7.tgz"
    assert trainingjob["spec"]["callback"]["url"] == "https://web"
    assert (trainingjob["spec"]["parameters"], trainingjob["spec"]["ttlSecondsAfterFinished"]) == ({"epochs": 3}, 60)
