"""Behaviour specific to Azure Service Bus, and connection recovery; test_queue_sources.py has the contract of all queues."""

import asyncio
import gc
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.amqp import AmqpAnnotatedMessage

from localcluster.ports import free_ports
from tests.support.service_bus_broker import Counts, QueueOptions, ServiceBusBroker
from vott_messaging.errors import LostMessageError, SourceUnavailableError
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.queue import OFTEN, ServiceBusQueue
from vott_messaging.settings.queue import QueueSettings

# Azure's client leaves the sockets of broken connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CONNECTION_STRING = "AZURE_SERVICE_BUS_CONNECTION_STRING"
PATIENCE_SECONDS = 60
GLANCE_SECONDS = 0.3

numbers = itertools.count(1)


@dataclass
class Bench:
    """A broker with one queue, the queue under test, and operations of its senders."""

    broker: ServiceBusBroker
    name: str
    folder: Path
    """Folder of the credentials."""
    source: ServiceBusQueue

    async def send(self, *messages: ServiceBusMessage | AmqpAnnotatedMessage) -> None:
        async with (
            ServiceBusClient.from_connection_string(self.broker.connection_string) as client,
            client.get_queue_sender(self.name) as sender,
        ):
            for message in messages:
                await sender.send_messages(message)

    async def receive(self) -> Delivery:
        (delivery,) = await self.source.receive(1, PATIENCE_SECONDS)
        return delivery

    def options(self, options: QueueOptions) -> None:
        self.broker.add_queue(self.name, options)

    @property
    def counts(self) -> Counts:
        return self.broker.counts(self.name)


@pytest.fixture(scope="module")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker() as broker:
        yield broker


@pytest.fixture
async def bench(broker: ServiceBusBroker, tmp_path: Path) -> AsyncIterator[Bench]:
    name = f"bus-{next(numbers)}"
    broker.add_queue(name)
    (tmp_path / CONNECTION_STRING).write_text(broker.connection_string)
    source = service_bus(tmp_path, name)
    yield Bench(broker, name, tmp_path, source)
    await source.close()
    gc.collect()  # here, where the warnings are ignored


def service_bus(folder: Path, name: str) -> ServiceBusQueue:
    return ServiceBusQueue(QueueSettings(kind="serviceBus", name=name), Credentials(folder))


# Messages


async def test_the_message_id_is_the_senders(bench: Bench) -> None:
    await bench.send(ServiceBusMessage("a", message_id="job-7"))
    assert (await bench.receive()).id == "job-7"


async def test_messages_of_one_id_differ_in_their_sequence_however_often_they_are_delivered(bench: Bench) -> None:
    sequences: list[str] = []
    for _ in range(2):
        await bench.send(ServiceBusMessage("a", message_id="job-7"))
        for _ in range(2):
            delivery = await bench.receive()
            sequences.append(delivery.sequence)
            assert delivery.enqueued is not None
            await bench.source.abandon(delivery)
        await bench.source.complete(await bench.receive())
    first, again, second, _ = sequences
    assert first == again != second == sequences[3]


async def test_a_message_without_an_id_is_identified_by_sequence_number_and_time(bench: Bench) -> None:
    await bench.send(AmqpAnnotatedMessage(data_body=b"a"))
    first = await bench.receive()
    await bench.source.abandon(first)
    (stored,) = bench.broker.messages(bench.name)
    assert first.id == (await bench.receive()).id
    assert re.fullmatch(rf"sequence-{stored.sequence_number}-\d{{13}}", first.id)  # and the enqueue time in ms


@pytest.mark.parametrize(
    "body", [b"", bytes(range(256)), b"\xff\xfe{}", b"\x00Su\xa0\x01a\x00", b"{}" * 100_000], ids=range(5)
)
async def test_a_binary_body_is_received_unchanged(bench: Bench, body: bytes) -> None:
    await bench.send(ServiceBusMessage(body))
    assert (await bench.receive()).body == body


async def test_a_body_in_several_sections_is_joined(bench: Bench) -> None:
    await bench.send(AmqpAnnotatedMessage(data_body=[b'{"model":', b' "m"}']))
    assert (await bench.receive()).body == b'{"model": "m"}'


async def test_an_amqp_string_is_received_as_text(bench: Bench) -> None:
    await bench.send(AmqpAnnotatedMessage(value_body='{"model": "ü"}'))
    assert (await bench.receive()).body.decode() == '{"model": "ü"}'


@pytest.mark.parametrize(
    ("body", "received"),
    [
        ({"value_body": {"model": "m", "parameters": {"epochs": 3}}}, '{"model": "m", "parameters": {"epochs": 3}}'),
        ({"value_body": None}, "null"),
        ({"sequence_body": [1, "a"]}, '[1, "a"]'),
        ({"sequence_body": ['{"model": "m"}']}, '{"model": "m"}'),
    ],
    ids=str,
)
async def test_other_amqp_values_are_received_as_json(bench: Bench, body: dict[str, Any], received: str) -> None:
    await bench.send(AmqpAnnotatedMessage(**body))
    assert (await bench.receive()).body.decode() == received


async def test_a_session_id_is_ignored_in_a_queue_without_sessions(bench: Bench) -> None:
    await bench.send(ServiceBusMessage("a", session_id="s"))
    await bench.source.complete(await bench.receive())
    assert bench.counts == Counts(0, 0, 0)


async def test_a_queue_name_is_case_insensitive(bench: Bench) -> None:
    await bench.send(ServiceBusMessage("a"))
    source = service_bus(bench.folder, bench.name.upper())
    assert source.identity == bench.source.identity
    assert len(await source.receive(1, PATIENCE_SECONDS)) == 1
    await source.close()


async def test_the_identity_has_namespace_and_queue_but_no_key(bench: Bench) -> None:
    assert bench.source.identity == f"servicebus://127.0.0.1:{bench.broker.port}/{bench.name}"


# Rules of the service


async def test_duplicate_detection_delivers_an_id_once(
    bench: Bench,
) -> None:
    bench.options(QueueOptions(duplicate_detection_seconds=60))
    await bench.send(ServiceBusMessage("a", message_id="one"))
    await bench.source.complete(await bench.receive())
    await bench.send(ServiceBusMessage("a", message_id="one"), ServiceBusMessage("b", message_id="two"))
    assert (await bench.receive()).id == "two"
    assert not await bench.source.receive(1, GLANCE_SECONDS)


async def test_failed_deliveries_count_until_the_message_is_dead_lettered(bench: Bench) -> None:
    bench.options(QueueOptions(lock_seconds=1, max_delivery_count=3))
    await bench.send(ServiceBusMessage("a"))
    attempts = [(await bench.receive()).attempt]  # its lock expires
    abandoned = await bench.receive()
    await bench.source.abandon(abandoned)
    last = await bench.receive()
    await bench.source.abandon(last)
    assert [*attempts, abandoned.attempt, last.attempt] == [1, 2, 3]
    (dead,) = bench.broker.dead_letters(bench.name)
    assert dead.reason == "MaxDeliveryCountExceeded"


async def test_a_message_that_was_given_back_often_is_warned_about(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.options(QueueOptions(max_delivery_count=OFTEN + 1))
    await bench.send(ServiceBusMessage("a"))
    for attempt in range(1, OFTEN + 1):
        assert caplog.text == ""
        delivery = await bench.receive()
        assert delivery.attempt == attempt
        await bench.source.abandon(delivery)
    assert f"after its delivery number {OFTEN}" in caplog.text


async def test_a_pause_does_not_count_as_a_delivery(bench: Bench) -> None:
    await bench.source.receive(8, GLANCE_SECONDS)
    for _ in range(2):
        await bench.send(ServiceBusMessage("a"))
        await bench.source.pause()
        delivery = await bench.receive()
        assert delivery.attempt == 1
        await bench.source.complete(delivery)


async def test_a_dead_letter_has_reason_and_description(bench: Bench) -> None:
    await bench.send(ServiceBusMessage("a", message_id="one"))
    await bench.source.dead_letter(await bench.receive(), "NotJSON", "Line 1: ü")
    (dead,) = bench.broker.dead_letters(bench.name)
    assert (dead.message_id, dead.body, dead.reason, dead.description) == ("one", b"a", "NotJSON", "Line 1: ü")
    assert bench.counts == Counts(active=0, locked=0, dead_lettered=1)


async def test_a_long_description_is_truncated(bench: Bench) -> None:
    await bench.send(ServiceBusMessage("a"))
    await bench.source.dead_letter(await bench.receive(), "NotJSON", "x" * 5000)
    (dead,) = bench.broker.dead_letters(bench.name)
    assert dead.description == "x" * 4095 + "…"


# Connection recovery


async def test_receiving_recovers_from_a_broken_connection(bench: Bench) -> None:
    await bench.source.receive(1, 0)
    waiting = asyncio.create_task(bench.source.receive(1, PATIENCE_SECONDS))
    await asyncio.sleep(GLANCE_SECONDS)
    bench.broker.cut()
    await bench.send(ServiceBusMessage("a"))
    (delivery,) = await waiting
    assert delivery.body == b"a"


@pytest.mark.parametrize("method", ["complete", "abandon", "dead_letter"])
async def test_settling_recovers_from_a_broken_connection(bench: Bench, method: str) -> None:
    await bench.send(ServiceBusMessage("a"))
    delivery = await bench.receive()
    bench.broker.cut()
    arguments = ("NotJSON", "Why.") if method == "dead_letter" else ()
    await getattr(bench.source, method)(delivery, *arguments)
    expected = {"complete": Counts(0, 0, 0), "abandon": Counts(1, 0, 0), "dead_letter": Counts(0, 0, 1)}
    assert bench.counts == expected[method]


async def test_concurrent_settling_recovers_from_a_broken_connection(bench: Bench) -> None:
    await bench.send(*(ServiceBusMessage(str(number)) for number in range(5)))
    deliveries = [await bench.receive() for _ in range(5)]
    waiting = asyncio.create_task(bench.source.receive(1, PATIENCE_SECONDS))
    await asyncio.sleep(GLANCE_SECONDS)
    bench.broker.cut()
    await asyncio.gather(*(bench.source.complete(delivery) for delivery in deliveries))
    assert bench.counts == Counts(0, 0, 0)
    await bench.send(ServiceBusMessage("last"))
    assert [delivery.body for delivery in await waiting] == [b"last"]


async def test_lock_renewal_recovers_from_a_broken_connection(bench: Bench) -> None:
    lock = 5
    bench.options(QueueOptions(lock_seconds=lock))
    await bench.send(ServiceBusMessage("a"))
    delivery = await bench.receive()
    await asyncio.sleep(lock / 2)
    bench.broker.cut()
    await bench.source.renew_lock(delivery)
    await asyncio.sleep(0.6 * lock)  # longer than the rest of the first lock
    assert bench.counts == Counts(active=0, locked=1, dead_lettered=0)
    await asyncio.sleep(0.5 * lock)
    with pytest.raises(LostMessageError, match=delivery.id):
        await bench.source.renew_lock(delivery)


async def test_an_unavailable_broker_is_reported_and_its_messages_survive(bench: Bench) -> None:
    await bench.send(*(ServiceBusMessage(str(number)) for number in range(3)))
    delivery = await bench.receive()
    with bench.broker.dead():
        calls = (
            partial(bench.source.receive, 1, 0),
            *(partial(method, delivery) for method in (bench.source.complete, bench.source.renew_lock)),
        )
        for call in calls:
            with pytest.raises(SourceUnavailableError) as caught:
                await call()
            assert str(caught.value).startswith(bench.source.identity)
            assert bench.broker.key not in str(caught.value)
    await bench.source.renew_lock(delivery)
    await bench.source.complete(delivery)
    assert {(await bench.receive()).body for _ in range(2)} == {b"1", b"2"}
    assert bench.counts == Counts(active=0, locked=2, dead_lettered=0)


async def test_pause_and_close_work_without_the_broker(bench: Bench) -> None:
    await bench.source.receive(1, 0)
    with bench.broker.dead():
        await bench.source.pause()
        await bench.source.close()


async def test_a_backlog_is_processed_while_connections_keep_breaking(bench: Bench) -> None:
    bench.options(QueueOptions(lock_seconds=4))
    await bench.send(*(ServiceBusMessage(str(number)) for number in range(200)))
    other = service_bus(bench.folder, bench.name)
    received: set[int] = set()

    async def take(source: ServiceBusQueue) -> None:
        while bench.counts != Counts(0, 0, 0):
            with suppress(SourceUnavailableError):
                for delivery in await source.receive(16, GLANCE_SECONDS):
                    await settle(source, delivery)
                    received.add(int(delivery.body))

    async def settle(source: ServiceBusQueue, delivery: Delivery) -> None:
        while True:
            with suppress(SourceUnavailableError):
                await source.complete(delivery)
                return

    async def break_connections() -> None:
        for _ in range(6):
            await asyncio.sleep(0.4)
            bench.broker.cut()

    await asyncio.gather(take(bench.source), take(other), break_connections())
    await other.close()
    assert received == set(range(200))


async def test_a_cancelled_call_leaves_the_queue_usable(bench: Bench) -> None:
    await bench.send(*(ServiceBusMessage(str(number)) for number in range(4)))
    for call in (bench.source.complete, bench.source.renew_lock, bench.source.abandon):
        task = asyncio.create_task(call(await bench.receive()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await bench.source.complete(await bench.receive())
    assert bench.counts == Counts(active=1, locked=1, dead_lettered=0)


# Authentication


async def test_a_changed_key_is_used_without_a_restart(bench: Bench) -> None:
    await bench.send(ServiceBusMessage("a"), ServiceBusMessage("b"))
    delivery = await bench.receive()
    bench.broker.change_key()
    bench.broker.cut()
    with pytest.raises(SourceUnavailableError, match="access denied"):
        await bench.source.receive(1, GLANCE_SECONDS)
    (bench.folder / CONNECTION_STRING).write_text(bench.broker.connection_string)
    await bench.source.complete(delivery)
    assert (await bench.receive()).body == b"b"


async def test_unusable_credentials_are_reported_and_retried(bench: Bench) -> None:
    await bench.source.receive(1, 0)
    (bench.folder / CONNECTION_STRING).write_text("nonsense")
    with pytest.raises(SourceUnavailableError, match=CONNECTION_STRING):
        await bench.source.receive(1, 0)
    (bench.folder / CONNECTION_STRING).write_text(bench.broker.connection_string)
    assert not await bench.source.receive(1, 0)


async def test_credentials_for_another_namespace_are_rejected_while_running(bench: Bench) -> None:
    await bench.source.receive(1, 0)
    other_namespace = bench.broker.connection_string_at("127.0.0.1:1")
    (bench.folder / CONNECTION_STRING).write_text(other_namespace)
    with pytest.raises(SourceUnavailableError, match="now for another namespace; restart"):
        await bench.source.receive(1, 0)


async def test_the_error_for_a_wrong_key_has_the_remedy_but_not_the_key(bench: Bench) -> None:
    bench.broker.change_key()
    with pytest.raises(SourceUnavailableError, match="Azure Service Bus Data Receiver") as caught:
        await bench.source.receive(1, 0)
    old = (bench.folder / CONNECTION_STRING).read_text().split("SharedAccessKey=")[1].split(";")[0]
    assert old not in str(caught.value)


async def test_the_error_for_a_missing_queue_has_the_remedy(bench: Bench) -> None:
    source = service_bus(bench.folder, "nowhere")
    with pytest.raises(SourceUnavailableError, match="no such queue in this namespace; create it"):
        await source.receive(1, 0)
    await source.close()


async def test_the_error_for_an_unreachable_namespace_names_the_queue(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    text = f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
    (tmp_path / CONNECTION_STRING).write_text(text)
    source = service_bus(tmp_path, "cats")
    with pytest.raises(SourceUnavailableError, match=f"servicebus://127.0.0.1:{port}/cats: "):
        await source.receive(1, 0)
    await source.close()
