"""`vott-train queue` against a real Storage Queue and a real AMQP broker: what an administrator sees and does at night."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.storage.queue import QueueClient
from click.testing import CliRunner, Result

from localcluster.azurite import Azurite
from tests.support.corner import ROOT
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from vott_operator.cli import main
from vott_operator.queues.poison import PoisonMessage, poison_text
from vott_operator.queues.storage_poison import MAX_BATCH

numbers = itertools.count(1)
SAS_URL = "https://store.blob.core.windows.net/models?sv=2024-11-04&sig=c2VjcmV0"
BODY = json.dumps({"annotations": "https://host/a.csv", "model": SAS_URL})


class Place(Protocol):
    """One queue with what was put aside from it, as its service's own client sees it."""

    settings: dict[str, Any]
    environment: dict[str, str]

    def put_aside(self, body: str, reason: str = "InvalidMessage", message: str = "It can't be read.") -> None:
        """As the operator does it."""

    def send(self, body: str) -> None:
        """As VoTT does it."""

    def waiting(self) -> list[str]:
        """Bodies in the queue."""

    def aside(self) -> list[str]:
        """What lies in the poison queue or the dead-letter sub-queue, ready to be received."""


class StoragePlace:
    """A Storage Queue of Azurite."""

    def __init__(self, azurite: Azurite) -> None:
        self.name = f"aside-{next(numbers)}"
        self.settings = {"kind": "storage", "name": self.name}
        self.environment = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
        self.queue, self.poison = (
            QueueClient.from_connection_string(azurite.connection_string, self.name + end) for end in ("", "-poison")
        )
        self.queue.create_queue()
        self.poison.create_queue()

    def put_aside(self, body: str, reason: str = "InvalidMessage", message: str = "It can't be read.") -> None:
        text = poison_text(PoisonMessage(body, reason, message, queue=self.name, message_id="m-1"))
        self.poison.send_message(text, time_to_live=-1)

    def send(self, body: str) -> None:
        self.queue.send_message(body)

    def waiting(self) -> list[str]:
        return [str(item.content) for item in self.queue.peek_messages(MAX_BATCH)]

    def aside(self) -> list[str]:
        """Only what is not hidden can be peeked at."""
        contents = [str(item.content) for item in self.poison.peek_messages(MAX_BATCH)]
        return [json.loads(text)["body"] if '"messageId"' in text else text for text in contents]


class ServiceBusPlace:
    """A queue of the broker."""

    def __init__(self, broker: ServiceBusBroker) -> None:
        self.name = f"aside-{next(numbers)}"
        self.settings = {"kind": "serviceBus", "name": self.name}
        self.environment = {"AZURE_SERVICE_BUS_CONNECTION_STRING": broker.connection_string}
        self.broker = broker
        broker.add_queue(self.name, QueueOptions())

    def put_aside(self, body: str, reason: str = "InvalidMessage", message: str = "It can't be read.") -> None:
        self.send(body)
        with self.client() as client, client.get_queue_receiver(self.name) as receiver:
            (received,) = receiver.receive_messages(1, max_wait_time=10)
            receiver.dead_letter_message(received, reason=reason, error_description=message)

    def send(self, body: str) -> None:
        properties: dict[str | bytes, Any] = {"team": "cats"}
        message = ServiceBusMessage(
            body, message_id="m-1", content_type="application/json", application_properties=properties
        )
        with self.client() as client, client.get_queue_sender(self.name) as sender:
            sender.send_messages(message)

    def waiting(self) -> list[str]:
        return [item.body.decode() for item in self.broker.messages(self.name)]

    def aside(self) -> list[str]:
        """Those that are in nobody's hand: receiving is the proof."""
        with (
            self.client() as client,
            client.get_queue_receiver(self.name, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver,
        ):
            received = receiver.receive_messages(MAX_BATCH, max_wait_time=1)
            for message in received:
                receiver.abandon_message(message)
            return [b"".join(message.body).decode() for message in received]

    def received(self) -> list[ServiceBusReceivedMessage]:
        with self.client() as client, client.get_queue_receiver(self.name) as receiver:
            return receiver.receive_messages(MAX_BATCH, max_wait_time=1)

    def client(self) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self.broker.connection_string)


@pytest.fixture(scope="module")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker() as running:
        yield running


@pytest.fixture
def storage(azurite: Azurite) -> StoragePlace:
    return StoragePlace(azurite)


@pytest.fixture
def service_bus(broker: ServiceBusBroker) -> ServiceBusPlace:
    return ServiceBusPlace(broker)


@pytest.fixture(params=["storage", "service_bus"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file; no image that trains is named, because nothing trains here."""
    file = tmp_path / "settings.yaml"
    monkeypatch.setenv("VOTT_TRAIN_CONFIG", str(file))
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    return file


@pytest.fixture
def configured(config: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The only queue that is configured."""
    configure(config, monkeypatch, place)
    return place


def configure(config: Path, monkeypatch: pytest.MonkeyPatch, *places: Place) -> None:
    config.write_text(yaml.safe_dump({"queues": [place.settings for place in places]}))
    for place in places:
        for name, value in place.environment.items():
            monkeypatch.setenv(name, value)


def command(*arguments: str, answer: str = "", exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["queue", *arguments], input=answer)
    assert result.exit_code == exit_code, result.output
    return result


def ids() -> list[str]:
    return [item["id"] for item in json.loads(command("peek", "--limit=100", "--output=json").stdout)]


# ---------------------------------------------------------------------------------------------------------------- list


def test_list_says_how_many_messages_wait_and_were_put_aside(
    config: Path, storage: StoragePlace, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    for place in (storage, service_bus):
        place.put_aside("not json")
        place.put_aside("nor this")
        place.send(BODY)

    rows = [line.split() for line in command("list").stdout.splitlines()]

    assert rows == [
        ["QUEUE", "KIND", "WAITING", "PUT", "ASIDE"],
        [storage.name, "storage", "1", "2"],
        [service_bus.name, "serviceBus", "1", "2"],
    ]


def test_list_names_the_queue_that_cannot_be_reached_and_still_shows_the_others(
    config: Path, storage: StoragePlace, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    away = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
    monkeypatch.setenv("AZURE_SERVICE_BUS_CONNECTION_STRING", away)

    _, first, second = command("list", exit_code=1).stdout.splitlines()

    assert first.split() == [storage.name, "storage", "0", "0"]
    assert second.startswith(f"{service_bus.name}  serviceBus  -        -          queue {service_bus.name}: ")


def test_list_names_the_credentials_that_are_missing(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")

    assert "set AZURE_STORAGE_CONNECTION_STRING" in command("list", exit_code=1).stdout


def test_a_queue_that_was_never_used_has_nothing_put_aside(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.queue.delete_queue()
    storage.poison.delete_queue()

    assert command("list").stdout.splitlines()[1].split() == [storage.name, "storage", "0", "0"]
    assert command("peek").stdout == f"No messages are put aside from queue {storage.name}.\n"
    assert command("requeue", "--all").stdout == f"0 messages sent to queue {storage.name} again.\n"


def test_the_first_vott_trains_environment_alone_is_enough(
    storage: StoragePlace, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOTT_TRAIN_CONFIG")
    program = [sys.executable, "-m", "vott_operator", "queue", "list"]
    environment = storage.environment | {"AZURE_STORAGE_QUEUE_NAME": storage.name, "PYTHONPATH": str(ROOT / "operator")}

    done = subprocess.run(program, env=os.environ | environment, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == [storage.name, "storage", "0", "0"]


# ---------------------------------------------------------------------------------------------------------------- peek


def test_peek_shows_why_and_hides_the_credentials(configured: Place) -> None:
    configured.put_aside(BODY, "PluginNotAllowed", 'Plugin "magic" is not allowed here.')

    shown = command("peek").stdout

    assert "PluginNotAllowed" in shown
    assert 'Plugin "magic" is not allowed here.' in shown
    assert "https://store.blob.core.windows.net/models?…" in shown
    assert "c2VjcmV0" not in shown
    assert configured.aside() == [BODY]


def test_peek_shows_the_body_exactly_as_it_was_sent_when_asked_to(configured: Place) -> None:
    configured.put_aside(BODY)

    (item,) = json.loads(command("peek", "--output=json", "--show-secrets").stdout)

    assert item["body"] == BODY
    assert (item["reason"], item["message"], item["messageId"]) == ("InvalidMessage", "It can't be read.", "m-1")


def test_peek_shows_the_oldest_first_and_says_that_there_are_more(configured: Place) -> None:
    for body in ("first", "second", "third"):
        configured.put_aside(body)

    result = command("peek", "--limit=2")

    assert "first" in result.stdout
    assert "third" not in result.stdout
    assert result.stderr == "\n2 of 3; --limit shows more.\n"


def test_peek_shows_more_than_one_page_and_leaves_all_where_they_are(configured: Place) -> None:
    bodies = [f"body {number}" for number in range(MAX_BATCH + 8)]
    for body in bodies:
        configured.put_aside(body)

    shown = json.loads(command("peek", "--limit=100", "--output=json").stdout)

    assert [item["body"] for item in shown] == bodies
    assert len(configured.aside()) == MAX_BATCH


def test_peek_reads_a_poison_message_of_somebody_else(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.poison.send_message("the bare body, as Azure Functions put it there")

    (item,) = json.loads(command("peek", "--output=json").stdout)

    assert (item["reason"], item["body"]) == ("", "the bare body, as Azure Functions put it there")


# ------------------------------------------------------------------------------------------------------------- requeue


def test_requeue_sends_the_original_body_and_removes_the_message_here(configured: Place) -> None:
    configured.put_aside(BODY)
    configured.put_aside("another")

    result = command("requeue", ids()[0])

    assert result.stdout.startswith("1 message sent to queue aside-")
    assert configured.waiting() == [BODY]
    assert configured.aside() == ["another"]


def test_requeue_all_sends_everything_that_is_there(configured: Place) -> None:
    bodies = [f"body {number}" for number in range(5)]
    for body in bodies:
        configured.put_aside(body)

    assert command("requeue", "--all").stdout.startswith("5 messages sent")
    assert sorted(configured.waiting()) == bodies
    assert configured.aside() == []


def test_requeue_names_the_ids_that_are_not_there_and_does_the_others(configured: Place) -> None:
    configured.put_aside(BODY)

    result = command("requeue", *ids(), "424242", exit_code=1)

    assert result.stdout.startswith("1 message sent")
    assert result.stderr.rstrip().endswith(": 424242")
    assert configured.waiting() == [BODY]


def test_requeue_sends_a_body_alone_that_somebody_else_put_aside(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.poison.send_message(BODY)

    command("requeue", "--all")

    assert storage.waiting() == [BODY]


def test_requeue_gives_the_message_a_new_id_and_keeps_its_properties(
    config: Path, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.put_aside(BODY)
    (number,) = ids()

    command("requeue", number)

    (message,) = service_bus.received()
    assert message.message_id == f"m-1-requeued-{number}"
    assert message.content_type == "application/json"
    assert message.application_properties == {b"team": b"cats"}


def test_a_message_that_is_put_aside_twice_keeps_an_id_that_service_bus_takes(
    config: Path, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.put_aside(BODY)
    command("requeue", "--all")
    with service_bus.client() as client, client.get_queue_receiver(service_bus.name) as receiver:
        (again,) = receiver.receive_messages(1, max_wait_time=10)
        receiver.dead_letter_message(again, reason="InvalidMessage")
    (number,) = ids()

    command("requeue", "--all")

    (message,) = service_bus.received()
    assert message.message_id == f"m-1-requeued-{number}"


def test_requeue_that_dies_between_sending_and_removing_loses_nothing(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.put_aside(BODY)
    storage.queue.delete_queue()

    result = command("requeue", "--all", exit_code=1)

    assert "there is no such queue" in result.stderr
    assert storage.aside() == [BODY]


# --------------------------------------------------------------------------------------------------------------- purge


def test_purge_asks_first_and_removes_nothing_without_a_yes(configured: Place) -> None:
    configured.put_aside(BODY)

    result = command("purge", "--all", answer="n\n", exit_code=1)

    assert "Remove 1 message put aside from queue aside-" in result.stderr
    assert "nothing was removed" in result.stderr
    assert configured.aside() == [BODY]


def test_purge_removes_what_was_named_and_says_how_many(configured: Place) -> None:
    for body in ("keep", "remove", "keep too"):
        configured.put_aside(body)

    result = command("purge", ids()[1], answer="y\n")

    assert result.stdout.startswith("1 message removed")
    assert sorted(configured.aside()) == ["keep", "keep too"]
    assert configured.waiting() == []


def test_purge_does_not_ask_when_told_so(configured: Place) -> None:
    configured.put_aside(BODY)

    assert command("purge", "--all", "--yes").stdout.startswith("1 message removed")
    assert configured.aside() == []


# ------------------------------------------------------------------------------------------------------- command lines


def test_the_queue_has_to_be_named_when_several_are_configured(
    config: Path, storage: StoragePlace, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    service_bus.put_aside(BODY)

    assert f"say which one: {storage.name}, {service_bus.name}" in command("peek", exit_code=2).stderr
    assert command("requeue", service_bus.name, "--all").stdout.startswith("1 message sent")


def test_wrong_settings_are_said_in_a_sentence(config: Path) -> None:
    config.write_text("queues: [{kind: carrier-pigeon}]")

    result = command("list", exit_code=1)

    assert result.stderr.startswith("Error: settings (")
    assert "queues[0].kind" in result.stderr
