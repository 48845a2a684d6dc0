"""`vott-train queue` against a real Storage Queue and a real AMQP broker: what an administrator sees and does at night."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from localcluster.azurite import Azurite
from tests.support.queue_places import Place, ServiceBusPlace, StoragePlace
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy
from vott_operator.cli import main
from vott_operator.queues.factory import open_source
from vott_operator.queues.storage.poison_queue import MAX_BATCH
from vott_operator.settings.queue import QueueSettings

ROOT = Path(__file__).parents[3]
SAS_URL = "https://store.blob.core.windows.net/models?sv=2024-11-04&sig=c2VjcmV0"
HALF_OF_A_REQUEUE = 12_000
"""Bytes of the 20,000 or so that the command sends to send 100 messages again."""
BODY = json.dumps({"annotations": "https://host/a.csv", "model": SAS_URL})


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


def process(*arguments: str) -> "subprocess.Popen[str]":
    """The command as a program of its own."""
    program = [sys.executable, "-m", "vott_operator", "queue", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'guard'}"}
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
    for name, value in {**storage.environment, "AZURE_STORAGE_QUEUE_NAME": storage.name}.items():
        monkeypatch.setenv(name, value)

    with process("list") as running:
        output, errors = running.communicate()

    assert (running.returncode, errors) == (0, "")
    assert output.splitlines()[1].split() == [storage.name, "storage", "0", "0"]


# ---------------------------------------------------------------------------------------------------------------- peek


def test_peek_shows_why_and_hides_the_credentials(configured: Place) -> None:
    configured.put_aside(BODY, reason="PluginNotAllowed", message='Plugin "magic" is not allowed here.')

    shown = command("peek").stdout

    assert "PluginNotAllowed" in shown
    assert 'Plugin "magic" is not allowed here.' in shown
    assert "https://store.blob.core.windows.net/models?…" in shown
    assert "c2VjcmV0" not in shown
    assert configured.aside() == [BODY]


async def test_peek_shows_what_the_operator_rejected(configured: Place) -> None:
    configured.send(BODY)
    source = open_source(QueueSettings.model_validate(configured.settings))
    (delivery,) = await source.receive(1, wait_seconds=10)
    await source.dead_letter(delivery, "PluginNotAllowed", "It is not allowed.")
    await source.close()

    (item,) = json.loads((await asyncio.to_thread(command, "peek", "--output=json", "--show-secrets")).stdout)

    assert (item["body"], item["reason"], item["message"]) == (BODY, "PluginNotAllowed", "It is not allowed.")
    assert item["messageId"] == delivery.id


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


def test_a_body_that_is_no_text_is_shown_as_escapes_and_sent_as_it_was(
    config: Path, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.put_aside(b"caf\xe9")

    assert r"caf\xe9" in command("peek").stdout
    command("requeue", "--all")
    assert [item.body for item in service_bus.broker.messages(service_bus.name)] == [b"caf\xe9"]


def test_a_message_that_is_put_aside_twice_keeps_an_id_that_service_bus_takes(
    config: Path, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.put_aside(BODY)
    command("requeue", "--all")
    number = service_bus.receive().sequence_number

    command("requeue", "--all")

    assert service_bus.receive().message_id == f"m-1-requeued-{number}"


def test_requeue_that_is_killed_loses_nothing(
    config: Path, service_bus: ServiceBusPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    bodies = [f"body {number}" for number in range(100)]
    service_bus.put_aside(*bodies)

    with TcpProxy(service_bus.broker.port) as proxy:
        behind = service_bus.broker.connection_string_at(proxy.address)
        monkeypatch.setenv("AZURE_SERVICE_BUS_CONNECTION_STRING", behind)
        proxy.stop_after(HALF_OF_A_REQUEUE)
        with process("requeue", "--all") as running:
            stands = proxy.wait_standing(120)
            running.kill()

    sent, aside = service_bus.waiting(), service_bus.aside()
    assert stands, "it did not come so far"
    assert sent, "it was killed before it did anything"
    assert aside, "it was done before it was killed"
    assert {*sent, *aside} == {*bodies}


def test_requeue_that_can_not_send_leaves_the_message_where_it_is(
    config: Path, storage: StoragePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.put_aside(BODY)
    storage.queue.delete_queue()

    result = command("requeue", "--all", exit_code=1)

    assert f"storage queue {storage.name}: the queue does not exist" in result.stderr
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
