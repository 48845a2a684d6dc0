"""`vott-train queue` against Azurite and a real AMQP broker."""

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
from tests.support.azure_queues import AzureQueue, AzuriteQueue, BrokerQueue
from tests.support.operator_process import PYTHONPATH
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy
from vott_messaging.queues.factory import open_source
from vott_messaging.queues.storage.poison_queue import MAX_BATCH
from vott_messaging.settings.queue import QueueSettings
from vott_operator.cli import main

SAS_URL = "https://store.blob.core.windows.net/models?sv=2024-11-04&sig=c2VjcmV0"
HALF_OF_A_REQUEUE = 12_000
"""Bytes to forward before the kill; a requeue of 100 messages sends about 20,000."""
BODY = json.dumps({"annotations": "https://host/a.csv", "model": SAS_URL})


@pytest.fixture(scope="module")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker() as running:
        yield running


@pytest.fixture
def storage(azurite: Azurite) -> AzuriteQueue:
    return AzuriteQueue(azurite)


@pytest.fixture
def service_bus(broker: ServiceBusBroker) -> BrokerQueue:
    return BrokerQueue(broker)


@pytest.fixture(params=["storage", "service_bus"])
def queue(request: pytest.FixtureRequest) -> AzureQueue:
    selected: AzureQueue = request.getfixturevalue(request.param)
    return selected


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file, without a trainer image, because the command needs none."""
    file = tmp_path / "settings.yaml"
    monkeypatch.setenv("VOTT_TRAIN_CONFIG", str(file))
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    return file


@pytest.fixture
def configured(config: Path, queue: AzureQueue, monkeypatch: pytest.MonkeyPatch) -> AzureQueue:
    """The only configured queue."""
    configure(config, monkeypatch, queue)
    return queue


def configure(config: Path, monkeypatch: pytest.MonkeyPatch, *queues: AzureQueue) -> None:
    config.write_text(yaml.safe_dump({"queues": [queue.settings for queue in queues]}))
    for queue in queues:
        for name, value in queue.environment.items():
            monkeypatch.setenv(name, value)


def command(*arguments: str, answer: str = "", exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["queue", *arguments], input=answer)
    assert result.exit_code == exit_code, result.output
    return result


def process(*arguments: str) -> "subprocess.Popen[str]":
    """The command as a separate process."""
    program = [sys.executable, "-m", "vott_operator", "queue", *arguments]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# ---------------------------------------------------------------------------------------------------------------- list


def test_list_shows_how_many_messages_are_waiting_and_dead_lettered(
    config: Path, storage: AzuriteQueue, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    for queue in (storage, service_bus):
        queue.dead_letter("not json")
        queue.send("one", "two")

    rows = [line.split() for line in command("list").stdout.splitlines()]

    assert rows == [
        ["QUEUE", "KIND", "WAITING", "DEAD-LETTERED"],
        [storage.name, "storage", "2", "1"],
        [service_bus.name, "serviceBus", "2", "1"],
    ]


def test_list_reports_an_unreachable_queue_and_still_shows_the_others(
    config: Path, storage: AzuriteQueue, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    unreachable = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
    monkeypatch.setenv("AZURE_SERVICE_BUS_CONNECTION_STRING", unreachable)

    _, first, second = command("list", exit_code=1).stdout.splitlines()

    assert first.split() == [storage.name, "storage", "0", "0"]
    assert second.startswith(
        f"{service_bus.name}  serviceBus  -        -              Service Bus queue {service_bus.name}: "
    )


def test_list_names_missing_credentials(config: Path, storage: AzuriteQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(config, monkeypatch, storage)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")

    assert "set AZURE_STORAGE_CONNECTION_STRING" in command("list", exit_code=1).stdout


def test_a_missing_storage_queue_has_no_messages(
    config: Path, storage: AzuriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.queue.delete_queue()
    storage.poison.delete_queue()

    assert command("list").stdout.splitlines()[1].split() == [storage.name, "storage", "0", "0"]
    assert command("peek").stdout == f"Queue {storage.name} has no dead-lettered messages.\n"
    assert command("requeue", "--all").stdout == f"0 messages requeued to {storage.name}.\n"


def test_the_environment_variables_of_vott_train_1_are_enough(
    config: Path, storage: AzuriteQueue, monkeypatch: pytest.MonkeyPatch
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


def test_peek_shows_why_and_hides_the_credentials(configured: AzureQueue) -> None:
    configured.dead_letter(BODY, reason="PluginNotAllowed", message='Plugin "magic" is not allowed here.')

    output = command("peek").stdout

    assert "PluginNotAllowed" in output
    assert 'Plugin "magic" is not allowed here.' in output
    assert "https://store.blob.core.windows.net/models?…" in output
    assert "c2VjcmV0" not in output
    assert configured.dead_letters() == [BODY]


async def test_peek_shows_what_the_operator_dead_lettered(configured: AzureQueue) -> None:
    configured.send(BODY)
    source = open_source(QueueSettings.model_validate(configured.settings))
    (delivery,) = await source.receive(1, wait_seconds=10)
    await source.dead_letter(delivery, "PluginNotAllowed", "It is not allowed.")
    await source.close()

    (item,) = json.loads((await asyncio.to_thread(command, "peek", "--output=json", "--show-secrets")).stdout)

    assert (item["body"], item["reason"], item["message"]) == (BODY, "PluginNotAllowed", "It is not allowed.")
    assert item["messageId"] == delivery.id


def test_peek_shows_the_unchanged_body_with_show_secrets(configured: AzureQueue) -> None:
    configured.dead_letter(BODY)

    (item,) = json.loads(command("peek", "--output=json", "--show-secrets").stdout)

    assert item["body"] == BODY
    assert (item["reason"], item["message"], item["messageId"]) == ("InvalidMessage", "It can't be read.", "m-1")


def test_peek_shows_the_oldest_first_and_that_there_are_more(configured: AzureQueue) -> None:
    configured.dead_letter("first", "second", "third")

    result = command("peek", "--limit=2")

    assert "first" in result.stdout
    assert "third" not in result.stdout
    assert result.stderr == "\n2 of 3 messages; use --limit to see more.\n"


def test_peek_shows_more_than_one_page_and_removes_none(configured: AzureQueue) -> None:
    bodies = [f"body {number}" for number in range(MAX_BATCH + 8)]
    configured.dead_letter(*bodies)

    items = json.loads(command("peek", "--limit=100", "--output=json").stdout)

    assert [item["body"] for item in items] == bodies
    assert configured.dead_letters()[:MAX_BATCH] == bodies[:MAX_BATCH]


def test_peek_reads_a_poison_message_of_another_writer(
    config: Path, storage: AzuriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.poison.send_message("the bare body, as Azure Functions put it there")

    (item,) = json.loads(command("peek", "--output=json").stdout)

    assert (item["reason"], item["body"]) == ("", "the bare body, as Azure Functions put it there")


# ------------------------------------------------------------------------------------------------------------- requeue


def test_requeue_sends_the_original_body_and_deletes_the_dead_letter(configured: AzureQueue) -> None:
    first, _ = configured.dead_letter(BODY, "another")

    result = command("requeue", first)

    assert result.stdout.startswith("1 message requeued to commands-")
    assert configured.waiting() == [BODY]
    assert configured.dead_letters() == ["another"]


def test_requeue_all_sends_every_dead_letter(configured: AzureQueue) -> None:
    bodies = [f"body {number}" for number in range(5)]
    configured.dead_letter(*bodies)

    assert command("requeue", "--all").stdout.startswith("5 messages requeued")
    assert sorted(configured.waiting()) == bodies
    assert configured.dead_letters() == []


def test_requeue_reports_unknown_ids_and_requeues_the_others(configured: AzureQueue) -> None:
    (known,) = configured.dead_letter(BODY)

    result = command("requeue", known, "424242", exit_code=1)

    assert result.stdout.startswith("1 message requeued")
    assert result.stderr.rstrip().endswith(": 424242")
    assert configured.waiting() == [BODY]


def test_requeue_sends_the_bare_body_of_another_writer(
    config: Path, storage: AzuriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.poison.send_message(BODY)

    command("requeue", "--all")

    assert storage.waiting() == [BODY]


def test_requeue_gives_the_message_a_new_id_and_keeps_its_properties(
    config: Path, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    (number,) = service_bus.dead_letter(BODY)

    command("requeue", number)

    message = service_bus.receive()
    assert message.message_id == f"m-1-requeued-{number}"
    assert message.content_type == "application/json"
    assert message.application_properties == {b"team": b"cats"}


def test_a_binary_body_is_shown_escaped_and_requeued_unchanged(
    config: Path, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.dead_letter(b"caf\xe9")

    assert r"caf\xe9" in command("peek").stdout
    command("requeue", "--all")
    assert [item.body for item in service_bus.broker.messages(service_bus.name)] == [b"caf\xe9"]


def test_a_message_requeued_twice_has_one_suffix_in_its_id(
    config: Path, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    service_bus.dead_letter(BODY)
    command("requeue", "--all")
    number = service_bus.receive().sequence_number

    command("requeue", "--all")

    assert service_bus.receive().message_id == f"m-1-requeued-{number}"


def test_a_killed_requeue_loses_no_message(
    config: Path, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, service_bus)
    bodies = [f"body {number}" for number in range(100)]
    service_bus.dead_letter(*bodies)

    with TcpProxy(service_bus.broker.port) as proxy:
        behind = service_bus.broker.connection_string_at(proxy.address)
        monkeypatch.setenv("AZURE_SERVICE_BUS_CONNECTION_STRING", behind)
        proxy.stall_after(HALF_OF_A_REQUEUE)
        with process("requeue", "--all") as running:
            is_stalled = proxy.wait_stalled(120)
            running.kill()

    sent, remaining = service_bus.waiting(), service_bus.dead_letters()
    assert is_stalled, "the command did not get that far"
    assert sent, "the command was killed before it sent a message"
    assert remaining, "the command ended before it was killed"
    assert {*sent, *remaining} == {*bodies}


def test_a_requeue_that_can_not_send_keeps_the_dead_letter(
    config: Path, storage: AzuriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage)
    storage.dead_letter(BODY)
    storage.queue.delete_queue()

    result = command("requeue", "--all", exit_code=1)

    assert f"storage queue {storage.name}: the queue does not exist" in result.stderr
    assert storage.dead_letters() == [BODY]


# --------------------------------------------------------------------------------------------------------------- purge


def test_purge_asks_first_and_deletes_nothing_without_a_yes(configured: AzureQueue) -> None:
    configured.dead_letter(BODY)

    result = command("purge", "--all", answer="n\n", exit_code=1)

    assert "Delete 1 dead-lettered message of queue commands-" in result.stderr
    assert "no message was deleted" in result.stderr
    assert configured.dead_letters() == [BODY]


def test_purge_deletes_the_named_messages_and_reports_how_many(configured: AzureQueue) -> None:
    _, unwanted, _ = configured.dead_letter("keep", "remove", "keep too")

    result = command("purge", unwanted, answer="y\n")

    assert result.stdout.startswith("1 message purged")
    assert configured.dead_letters() == ["keep", "keep too"]


def test_messages_that_a_command_skipped_are_available_at_once(configured: AzureQueue) -> None:
    first, *_ = configured.dead_letter("first", "second", "third")
    command("purge", first, "--yes")

    assert command("requeue", "--all").stdout.startswith("2 messages requeued")
    assert sorted(configured.waiting()) == ["second", "third"]


def test_purge_does_not_ask_with_yes(configured: AzureQueue) -> None:
    configured.dead_letter(BODY)

    assert command("purge", "--all", "--yes").stdout.startswith("1 message purged")
    assert configured.dead_letters() == []


# ------------------------------------------------------------------------------------------------------- command lines


def test_the_queue_must_be_named_if_several_are_configured(
    config: Path, storage: AzuriteQueue, service_bus: BrokerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, storage, service_bus)
    service_bus.dead_letter(BODY)

    assert (
        f"several queues are configured; name one: {storage.name}, {service_bus.name}"
        in command("peek", exit_code=2).stderr
    )
    assert command("requeue", service_bus.name, "--all").stdout.startswith("1 message requeued")


def test_invalid_settings_are_reported_in_one_sentence(config: Path) -> None:
    config.write_text("queues: [{kind: carrier-pigeon}]")

    result = command("list", exit_code=1)

    assert result.stderr.startswith("Error: settings (")
    assert "queues[0].kind" in result.stderr
