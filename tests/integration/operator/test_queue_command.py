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
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage
from azure.storage.queue import QueueClient
from click.testing import CliRunner, Result

from localcluster.azurite import Azurite
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from vott_operator.cli import main
from vott_operator.queues.poison import PoisonMessage, poison_text, read_poison
from vott_operator.queues.storage_poison import MAX_BATCH

ROOT = Path(__file__).parents[3]
numbers = itertools.count(1)
SAS_URL = "https://store.blob.core.windows.net/models?sv=2024-11-04&sig=c2VjcmV0"
BODY = json.dumps({"annotations": "https://host/a.csv", "model": SAS_URL})


class Place(Protocol):
    """One queue with what was put aside from it, as its service's own client or the service itself sees it."""

    settings: dict[str, Any]
    environment: dict[str, str]

    def put_aside(self, *bodies: str, reason: str = "InvalidMessage", message: str = "It can't be read.") -> list[str]:
        """As the operator does it; returns the ids of those put aside."""

    def send(self, *bodies: str) -> None:
        """As VoTT does it."""

    def waiting(self) -> list[str]:
        """Bodies in the queue."""

    def aside(self) -> list[str]:
        """Bodies put aside."""


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

    def put_aside(self, *bodies: str, reason: str = "InvalidMessage", message: str = "It can't be read.") -> list[str]:
        texts = [
            poison_text(PoisonMessage(body, reason, message, queue=self.name, message_id="m-1")) for body in bodies
        ]
        return [str(self.poison.send_message(text, time_to_live=-1).id) for text in texts]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.queue.send_message(body)

    def waiting(self) -> list[str]:
        return [str(item.content) for item in self.queue.peek_messages(MAX_BATCH)]

    def aside(self) -> list[str]:
        return [read_poison(str(item.content)).body for item in self.poison.peek_messages(MAX_BATCH)]


class ServiceBusPlace:
    """A queue of the broker."""

    def __init__(self, broker: ServiceBusBroker) -> None:
        self.name = f"aside-{next(numbers)}"
        self.settings = {"kind": "serviceBus", "name": self.name}
        self.environment = {"AZURE_SERVICE_BUS_CONNECTION_STRING": broker.connection_string}
        self.broker = broker
        self.ids = itertools.count(1)
        broker.add_queue(self.name, QueueOptions(duplicate_detection_seconds=600))

    def put_aside(self, *bodies: str, reason: str = "InvalidMessage", message: str = "It can't be read.") -> list[str]:
        self.send(*bodies)
        with self.client() as client, client.get_queue_receiver(self.name) as receiver:
            for _ in bodies:
                (received,) = receiver.receive_messages(1, max_wait_time=10)
                receiver.dead_letter_message(received, reason=reason, error_description=message)
        return [str(item.sequence_number) for item in self.broker.dead_letters(self.name)][-len(bodies) :]

    def send(self, *bodies: str) -> None:
        properties: dict[str | bytes, Any] = {"team": "cats"}
        messages = [
            ServiceBusMessage(
                body,
                message_id=f"m-{next(self.ids)}",
                content_type="application/json",
                application_properties=properties,
            )
            for body in bodies
        ]
        with self.client() as client, client.get_queue_sender(self.name) as sender:
            sender.send_messages(messages)

    def waiting(self) -> list[str]:
        return [item.body.decode() for item in self.broker.messages(self.name)]

    def aside(self) -> list[str]:
        return [item.body.decode() for item in self.broker.dead_letters(self.name)]

    def receive(self) -> ServiceBusReceivedMessage:
        """The only message, which is put aside afterwards."""
        with self.client() as client, client.get_queue_receiver(self.name) as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=10)
            receiver.dead_letter_message(message, reason="InvalidMessage")
            return message

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


# ---------------------------------------------------------------------------------------------------------------- list


def test_list_says_how_many_messages_wait_and_were_put_aside(
    config: Path, storage: StoragePlace, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    for place in (storage, service_bus):
        place.put_aside("not json")
        place.send("one", "two")

    rows = [line.split() for line in command("list").stdout.splitlines()]

    assert rows == [
        ["QUEUE", "KIND", "WAITING", "PUT", "ASIDE"],
        [storage.name, "storage", "2", "1"],
        [service_bus.name, "serviceBus", "2", "1"],
    ]


def test_list_names_the_queue_that_cannot_be_reached_and_still_shows_the_others(
    config: Path, storage: StoragePlace, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    away = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
    monkeypatch.setenv("AZURE_SERVICE_BUS_CONNECTION_STRING", away)

    _, first, second = command("list", exit_code=1).stdout.splitlines()

    assert first.split() == [storage.name, "storage", "0", "0"]
    assert second.startswith(
        f"{service_bus.name}  serviceBus  -        -          Service Bus queue {service_bus.name}: "
    )


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
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not config.exists()
    monkeypatch.delenv("VOTT_TRAIN_CONFIG")
    program = [sys.executable, "-m", "vott_operator", "queue", "list"]
    environment = storage.environment | {"AZURE_STORAGE_QUEUE_NAME": storage.name, "PYTHONPATH": str(ROOT / "operator")}

    done = subprocess.run(program, env=os.environ | environment, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == [storage.name, "storage", "0", "0"]


# ---------------------------------------------------------------------------------------------------------------- peek


def test_peek_shows_why_and_hides_the_credentials(configured: Place) -> None:
    configured.put_aside(BODY, reason="PluginNotAllowed", message='Plugin "magic" is not allowed here.')

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
    configured.put_aside("first", "second", "third")

    result = command("peek", "--limit=2")

    assert "first" in result.stdout
    assert "third" not in result.stdout
    assert result.stderr == "\n2 of 3; --limit shows more.\n"


def test_peek_shows_more_than_one_page_and_leaves_all_where_they_are(configured: Place) -> None:
    bodies = [f"body {number}" for number in range(MAX_BATCH + 8)]
    configured.put_aside(*bodies)

    shown = json.loads(command("peek", "--limit=100", "--output=json").stdout)

    assert [item["body"] for item in shown] == bodies
    assert configured.aside()[:MAX_BATCH] == bodies[:MAX_BATCH]


def test_peek_reads_a_poison_message_of_somebody_else(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.poison.send_message("the bare body, as Azure Functions put it there")

    (item,) = json.loads(command("peek", "--output=json").stdout)

    assert (item["reason"], item["body"]) == ("", "the bare body, as Azure Functions put it there")


# ------------------------------------------------------------------------------------------------------------- requeue


def test_requeue_sends_the_original_body_and_removes_the_message_here(configured: Place) -> None:
    first, _ = configured.put_aside(BODY, "another")

    result = command("requeue", first)

    assert result.stdout.startswith("1 message sent to queue aside-")
    assert configured.waiting() == [BODY]
    assert configured.aside() == ["another"]


def test_requeue_all_sends_everything_that_is_there(configured: Place) -> None:
    bodies = [f"body {number}" for number in range(5)]
    configured.put_aside(*bodies)

    assert command("requeue", "--all").stdout.startswith("5 messages sent")
    assert sorted(configured.waiting()) == bodies
    assert configured.aside() == []


def test_requeue_names_the_ids_that_are_not_there_and_does_the_others(configured: Place) -> None:
    (known,) = configured.put_aside(BODY)

    result = command("requeue", known, "424242", exit_code=1)

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
    (number,) = service_bus.put_aside(BODY)

    command("requeue", number)

    message = service_bus.receive()
    assert message.message_id == f"m-1-requeued-{number}"
    assert message.content_type == "application/json"
    assert message.application_properties == {b"team": b"cats"}


def test_a_message_that_is_put_aside_twice_keeps_an_id_that_service_bus_takes(
    config: Path, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.put_aside(BODY)
    command("requeue", "--all")
    number = service_bus.receive().sequence_number

    command("requeue", "--all")

    assert service_bus.receive().message_id == f"m-1-requeued-{number}"


def test_requeue_that_dies_between_sending_and_removing_loses_nothing(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.put_aside(BODY)
    storage.queue.delete_queue()

    result = command("requeue", "--all", exit_code=1)

    assert f"storage queue {storage.name}: there is no such queue" in result.stderr
    assert storage.aside() == [BODY]


# --------------------------------------------------------------------------------------------------------------- purge


def test_purge_asks_first_and_removes_nothing_without_a_yes(configured: Place) -> None:
    configured.put_aside(BODY)

    result = command("purge", "--all", answer="n\n", exit_code=1)

    assert "Remove 1 message put aside from queue aside-" in result.stderr
    assert "nothing was removed" in result.stderr
    assert configured.aside() == [BODY]


def test_purge_removes_what_was_named_and_says_how_many(configured: Place) -> None:
    _, unwanted, _ = configured.put_aside("keep", "remove", "keep too")

    result = command("purge", unwanted, answer="y\n")

    assert result.stdout.startswith("1 message removed")
    assert configured.aside() == ["keep", "keep too"]


def test_what_was_only_looked_through_can_be_taken_at_once(configured: Place) -> None:
    first, *_ = configured.put_aside("first", "second", "third")
    command("purge", first, "--yes")

    assert command("requeue", "--all").stdout.startswith("2 messages sent")
    assert sorted(configured.waiting()) == ["second", "third"]


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
