"""The contract of QueueSource, for all queues: memory, Storage Queue (on Azurite), Service Bus (on the test broker)."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.storage.queue.aio import QueueClient

from localcluster.azurite import Azurite
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from vott_messaging.errors import LostMessageError, SettingsError, SourceUnavailableError
from vott_messaging.queues import memory
from vott_messaging.queues.base import Backlog, Delivery, QueueSource
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.memory import MemoryQueue
from vott_messaging.queues.service_bus.queue import ServiceBusQueue
from vott_messaging.queues.storage import queue
from vott_messaging.queues.storage.queue import StorageQueue
from vott_messaging.settings.queue import QueueSettings

LOCK_SECONDS = 30
"""Longer than any test on a busy machine; the same as the in-memory queue's."""
PATIENCE_SECONDS = 60.0
GLANCE_SECONDS = 0.3
"""How long to wait for a message that must not arrive."""
BODIES = ['{"model": "m"}', "ünï😀\u2028", " a\n\tb ", "<a b='c'>&amp;</a>", "eyJhIjogMX0=", "x" * 60_000]

numbers = itertools.count(1)


def lock_of(seconds: int) -> pytest.MarkDecorator:
    """Lock duration for a test that waits until the lock expires."""
    return pytest.mark.parametrize("lock_seconds", [seconds], ids=[f"lock of {seconds} s"])


@dataclass
class Bench:
    """A queue under test, and operations of its senders and other receivers."""

    source: QueueSource
    other: QueueSource
    """The same queue, as a second operator sees it."""
    send: Callable[[str], Awaitable[object]]
    pass_time: Callable[[float], Awaitable[None]]
    """Let this many lock durations pass."""
    dead_letters: Callable[[], Awaitable[list[tuple[str, str, str]]]]
    """Body, reason and message of each dead letter."""
    count: Callable[[], Awaitable[int]]
    """Number of messages that are not settled, locked ones included."""
    patience: float = PATIENCE_SECONDS
    """How long to wait for a message that must arrive."""

    async def receive(self) -> Delivery:
        """Receive one message."""
        (delivery,) = await self.source.receive(1, self.patience)
        return delivery

    async def is_empty(self) -> bool:
        """Whether another receiver gets no message now."""
        return not await self.other.receive(1, GLANCE_SECONDS)

    async def receive_all(self, source: QueueSource, limit: int, received: list[str], total: int) -> None:
        """Receive and complete until `total` messages are in `received`, which receivers may share."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(received) < total:
                batch = await source.receive(limit, GLANCE_SECONDS)
                received += [delivery.body.decode() for delivery in batch]
                await asyncio.gather(*(source.complete(delivery) for delivery in batch))


@asynccontextmanager
async def memory_bench() -> AsyncIterator[Bench]:
    now = 0.0
    queue = MemoryQueue(lambda: now)

    async def send(body: str) -> str:
        return queue.send(body, enqueued=datetime.now(UTC))

    async def pass_time(locks: float) -> None:
        nonlocal now
        now += locks * memory.LOCK_SECONDS

    async def dead_letters() -> list[tuple[str, str, str]]:
        return queue.dead_letters

    async def count() -> int:
        return len(queue)

    yield Bench(queue, queue, send, pass_time, dead_letters, count)


@asynccontextmanager
async def storage_bench(azurite: Azurite, folder: Path, name: str, lock_seconds: int) -> AsyncIterator[Bench]:
    (folder / "AZURE_STORAGE_CONNECTION_STRING").write_text(azurite.connection_string)
    settings = QueueSettings(kind="storage", name=name)
    source, other = (StorageQueue(settings, Credentials(folder)) for _ in range(2))
    outside = QueueClient.from_connection_string(azurite.connection_string, name)
    poison = QueueClient.from_connection_string(azurite.connection_string, f"{name}-poison")

    async def dead_letters() -> list[tuple[str, str, str]]:
        found = [json.loads(item.content) for item in await poison.peek_messages(32)]
        return [(item["body"], item["reason"], item["message"]) for item in found]

    async def count() -> int:
        return (await outside.get_queue_properties()).approximate_message_count or 0

    await outside.create_queue()
    yield Bench(source, other, outside.send_message, sleep(lock_seconds), dead_letters, count)
    await asyncio.gather(*(each.close() for each in (source, other, outside, poison)))


@asynccontextmanager
async def service_bus_bench(
    broker: ServiceBusBroker, folder: Path, name: str, lock_seconds: int
) -> AsyncIterator[Bench]:
    broker.add_queue(name, QueueOptions(lock_seconds=lock_seconds))
    (folder / "AZURE_SERVICE_BUS_CONNECTION_STRING").write_text(broker.connection_string)
    settings = QueueSettings(kind="serviceBus", name=name)
    source, other = (ServiceBusQueue(settings, Credentials(folder)) for _ in range(2))

    async def dead_letters() -> list[tuple[str, str, str]]:
        return [(item.body.decode(), item.reason, item.description) for item in broker.dead_letters(name)]

    async def send(body: str) -> None:
        await sender.send_messages(ServiceBusMessage(body))

    async def count() -> int:
        counts = broker.counts(name)
        return counts.active + counts.locked

    client = ServiceBusClient.from_connection_string(broker.connection_string)
    sender = client.get_queue_sender(name)
    yield Bench(source, other, send, sleep(lock_seconds), dead_letters, count)
    await asyncio.gather(source.close(), other.close(), client.close())


def sleep(lock_seconds: int) -> Callable[[float], Awaitable[None]]:
    return lambda locks: asyncio.sleep(locks * lock_seconds)


@pytest.fixture(scope="module")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker() as broker:
        yield broker


@pytest.fixture
def lock_seconds() -> int:
    return LOCK_SECONDS


@pytest.fixture(params=["memory", "storage", "serviceBus"])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock_seconds: int
) -> AsyncIterator[Bench]:
    monkeypatch.setattr(queue, "VISIBILITY_TIMEOUT_SECONDS", lock_seconds)
    name = f"contract-{next(numbers)}"
    benches: dict[str, Callable[[], AbstractAsyncContextManager[Bench]]] = {
        "memory": memory_bench,
        "storage": lambda: storage_bench(request.getfixturevalue("azurite"), tmp_path, name, lock_seconds),
        "serviceBus": lambda: service_bus_bench(request.getfixturevalue("broker"), tmp_path, name, lock_seconds),
    }
    async with benches[request.param]() as bench:
        yield bench


async def test_a_locked_message_is_not_delivered_to_others(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    assert (delivery.body, delivery.attempt) == (b"a", 1)
    assert await bench.is_empty()


async def test_a_delivery_has_the_duration_of_its_lock(bench: Bench) -> None:
    await bench.send("a")
    assert 0 < (await bench.receive()).lock_seconds <= LOCK_SECONDS


async def test_no_more_messages_than_the_limit_are_received(bench: Bench) -> None:
    for body in "abc":
        await bench.send(body)
    received = [await bench.source.receive(2, PATIENCE_SECONDS) for _ in range(2)]
    assert all(1 <= len(deliveries) <= 2 for deliveries in received)


async def test_each_waiting_message_is_received_once(bench: Bench) -> None:
    sent = [str(number) for number in range(40)]
    for body in sent:
        await bench.send(body)
    received: list[str] = []
    await bench.receive_all(bench.source, 16, received, len(sent))
    assert sorted(received) == sorted(sent)
    assert await bench.count() == 0


async def test_concurrent_receivers_never_get_the_same_message(bench: Bench) -> None:
    sent = [str(number) for number in range(40)]
    for body in sent:
        await bench.send(body)

    received: list[str] = []
    await asyncio.gather(*(bench.receive_all(source, 4, received, len(sent)) for source in (bench.source, bench.other)))
    assert sorted(received) == sorted(sent)
    assert await bench.count() == 0


async def test_the_backlog_has_the_time_of_the_oldest_message_and_locks_none(bench: Bench) -> None:
    assert await bench.source.backlog() in (Backlog(0, None), Backlog(None, None))
    for body in "ab":
        await bench.send(body)
    backlog = await bench.source.backlog()
    assert backlog.messages in (2, None)
    first = await bench.receive()
    assert (first.enqueued, first.attempt) == (backlog.oldest, 1)


async def test_the_backlog_can_be_read_while_a_receive_waits(bench: Bench) -> None:
    receiving = asyncio.create_task(bench.source.receive(1, PATIENCE_SECONDS))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await bench.source.backlog()
    await bench.send("a")
    assert [delivery.body for delivery in await receiving] == [b"a"]


async def test_nothing_is_received_from_an_empty_queue(bench: Bench) -> None:
    assert not await bench.source.receive(1, 0)


async def test_a_message_sent_while_receiving_is_received(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.source.receive(1, PATIENCE_SECONDS))
    await asyncio.sleep(GLANCE_SECONDS)
    await bench.send("a")
    (delivery,) = await waiting
    assert delivery.body == b"a"


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_a_body_is_received_unchanged(bench: Bench, body: str) -> None:
    await bench.send(body)
    assert (await bench.receive()).body.decode() == body


@lock_of(2)
async def test_a_message_that_is_not_settled_is_redelivered_with_the_same_id(bench: Bench) -> None:
    await bench.send("a")
    first = await bench.receive()
    await bench.pass_time(1.25)
    second = await bench.receive()
    assert (second.id, second.body, second.attempt) == (first.id, b"a", 2)


async def test_a_completed_message_is_deleted(bench: Bench) -> None:
    await bench.send("a")
    assert await bench.source.complete(await bench.receive()) is True
    assert await bench.count() == 0


async def test_a_message_is_settled_while_receiving(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    waiting = asyncio.create_task(bench.source.receive(1, PATIENCE_SECONDS))
    await asyncio.sleep(GLANCE_SECONDS)
    await bench.source.complete(delivery)
    assert not waiting.done()
    await bench.send("b")
    assert [delivery.body for delivery in await waiting] == [b"b"]


async def test_several_messages_are_settled_concurrently_while_receiving(bench: Bench) -> None:
    for body in "abcdefgh":
        await bench.send(body)
    deliveries = [await bench.receive() for _ in range(8)]
    waiting = asyncio.create_task(bench.source.receive(1, PATIENCE_SECONDS))
    await asyncio.gather(*(bench.source.complete(delivery) for delivery in deliveries))
    await bench.send("i")
    (last,) = await waiting
    await bench.source.complete(last)
    assert await bench.count() == 0


async def test_an_abandoned_message_is_redelivered_at_once(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    await bench.source.abandon(delivery)
    again = await bench.receive()
    assert (again.id, again.body) == (delivery.id, b"a")


async def test_a_dead_lettered_message_is_stored_with_its_reason(bench: Bench) -> None:
    await bench.send("a")
    await bench.source.dead_letter(await bench.receive(), "NotJSON", "It is not JSON.")
    assert await bench.dead_letters() == [("a", "NotJSON", "It is not JSON.")]
    assert await bench.count() == 0


@lock_of(5)
async def test_a_renewed_lock_outlasts_the_first(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    for _ in range(2):
        await bench.pass_time(0.65)
        await bench.source.renew_lock(delivery)
    await bench.pass_time(0.3)
    assert await bench.is_empty()
    await bench.source.complete(delivery)
    assert await bench.count() == 0


@lock_of(5)
async def test_a_renewed_lock_expires_too(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    await bench.source.renew_lock(delivery)
    await bench.pass_time(1.25)
    assert (await bench.receive()).id == delivery.id


@lock_of(2)
async def test_a_lock_can_not_be_renewed_after_redelivery(bench: Bench) -> None:
    await bench.send("a")
    late = await bench.receive()
    await bench.pass_time(1.25)
    await bench.other.receive(1, PATIENCE_SECONDS)
    with pytest.raises(LostMessageError):
        await bench.source.renew_lock(late)


async def test_a_lock_can_not_be_renewed_after_settling(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    await bench.source.complete(delivery)
    with pytest.raises(LostMessageError):
        await bench.source.renew_lock(delivery)


@lock_of(2)
async def test_settling_after_redelivery_has_no_effect(bench: Bench) -> None:
    await bench.send("a")
    late = await bench.receive()
    await bench.pass_time(1.25)
    (current,) = await bench.other.receive(1, PATIENCE_SECONDS)
    assert await bench.source.complete(late) is False
    await bench.source.abandon(late)
    await bench.other.abandon(current)
    assert (await bench.receive()).id == current.id


async def test_settling_twice_has_no_effect(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    await bench.source.complete(delivery)
    await bench.source.complete(delivery)
    await bench.source.abandon(delivery)
    assert await bench.is_empty()


async def test_a_paused_queue_leaves_messages_to_others(bench: Bench) -> None:
    await bench.source.receive(8, GLANCE_SECONDS)
    await bench.source.pause()
    await bench.send("a")
    (delivery,) = await bench.other.receive(1, PATIENCE_SECONDS)
    assert (delivery.body, delivery.attempt) == (b"a", 1)


async def test_a_locked_message_can_be_settled_during_a_pause(bench: Bench) -> None:
    await bench.send("a")
    delivery = await bench.receive()
    await bench.source.pause()
    await bench.source.complete(delivery)
    assert await bench.count() == 0


async def test_receiving_continues_after_a_pause(bench: Bench) -> None:
    await bench.source.receive(1, 0)
    await bench.source.pause()
    await bench.send("a")
    assert (await bench.receive()).body == b"a"


async def test_a_cancelled_receive_takes_no_message(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.source.receive(8, PATIENCE_SECONDS))
    await asyncio.sleep(GLANCE_SECONDS)
    waiting.cancel()
    await asyncio.wait([waiting])
    await bench.source.pause()
    await bench.send("a")
    (delivery,) = await bench.other.receive(1, PATIENCE_SECONDS)
    assert delivery.body == b"a"


async def test_closing_twice_is_allowed(bench: Bench) -> None:
    await bench.source.receive(1, 0)
    await bench.source.close()
    await bench.source.close()


class SettlesTooEarly:
    """A queue with the worst bug: it deletes messages on delivery."""

    def __init__(self, source: QueueSource) -> None:
        self._source = source
        self.settled = 0

    async def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        deliveries = await self._source.receive(limit, wait_seconds if self.settled else PATIENCE_SECONDS)
        for delivery in deliveries:
            await self._source.complete(delivery)
            self.settled += 1
        return deliveries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@lock_of(2)
async def test_this_contract_detects_a_queue_that_settles_too_early(bench: Bench) -> None:
    source = SettlesTooEarly(bench.source)
    broken = replace(bench, source=cast("QueueSource", source), patience=GLANCE_SECONDS)
    with pytest.raises(ValueError, match="not enough values"):
        await test_a_message_that_is_not_settled_is_redelivered_with_the_same_id(broken)
    assert source.settled == 1


# ------------------------------------------------------------------------------------------------ Storage Queue only


def storage(folder: Path, connection_string: str, name: str) -> StorageQueue:
    (folder / "AZURE_STORAGE_CONNECTION_STRING").write_text(connection_string)
    return StorageQueue(QueueSettings(kind="storage", name=name), Credentials(folder))


async def test_a_missing_storage_queue_is_created(azurite: Azurite, tmp_path: Path) -> None:
    source = storage(tmp_path, azurite.connection_string, "not-there-yet")
    assert not await source.receive(1, 0)
    assert not await source.receive(1, 0)
    await source.close()


async def test_the_identity_of_a_storage_queue_has_account_and_queue_but_no_key(
    azurite: Azurite, tmp_path: Path
) -> None:
    source = storage(tmp_path, azurite.connection_string, "cats")
    assert source.identity == f"storage://127.0.0.1:{azurite.queue_port}/devstoreaccount1/cats"
    await source.close()


async def test_the_error_for_an_unreachable_account_names_the_queue(tmp_path: Path) -> None:
    text = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:1/a"
    source = storage(tmp_path, text, "cats")
    with pytest.raises(SourceUnavailableError, match=r"storage://127\.0\.0\.1:1/a/cats"):
        await source.receive(1, 0)
    await source.close()


def test_the_error_for_an_invalid_connection_string_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AZURE_STORAGE_CONNECTION_STRING"):
        storage(tmp_path, "nonsense", "cats")
