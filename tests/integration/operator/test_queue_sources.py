"""The contract of a QueueSource, the same for every one."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from azure.storage.queue.aio import QueueClient

from localcluster.azurite import Azurite
from vott_operator.errors import SettingsError, SourceUnavailableError
from vott_operator.queues import storage_queue
from vott_operator.queues.base import QueueSource
from vott_operator.queues.memory import MemoryQueue
from vott_operator.queues.storage_queue import StorageQueue

LOCK_SECONDS = 1


@dataclass
class Bench:
    """A source, and what a test does from outside."""

    source: QueueSource
    send: Callable[[str], Awaitable[object]]
    let_locks_end: Callable[[], Awaitable[None]]
    rejected: Callable[[], Awaitable[list[tuple[str, str, str]]]]


async def memory() -> AsyncIterator[Bench]:
    now = 0.0
    queue = MemoryQueue(lambda: now)

    async def send(body: str) -> str:
        return queue.send(body)

    async def pass_time() -> None:
        nonlocal now
        now += 60

    async def rejected() -> list[tuple[str, str, str]]:
        return queue.rejected

    yield Bench(queue, send, pass_time, rejected)


async def storage(azurite: Azurite, name: str) -> AsyncIterator[Bench]:
    source = StorageQueue(azurite.connection_string, name)
    outside = QueueClient.from_connection_string(azurite.connection_string, name)
    poison = QueueClient.from_connection_string(azurite.connection_string, f"{name}-poison")

    async def rejected() -> list[tuple[str, str, str]]:
        found = [json.loads(item.content) for item in await poison.peek_messages(32)]
        return [(item["body"], item["reason"], item["message"]) for item in found]

    async def pass_time() -> None:
        await asyncio.sleep(LOCK_SECONDS + 0.5)

    await outside.create_queue()
    yield Bench(source, outside.send_message, pass_time, rejected)
    for client in (source, outside, poison):
        await client.close()


@pytest.fixture(params=["memory", "storage"])
async def bench(
    request: pytest.FixtureRequest, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    monkeypatch.setattr(storage_queue, "VISIBILITY_SECONDS", LOCK_SECONDS)
    name = f"contract-{abs(hash(request.node.name))}"
    async for bench in memory() if request.param == "memory" else storage(azurite, name):
        yield bench


async def test_a_message_in_hand_is_nobody_elses(bench: Bench) -> None:
    await bench.send("a")
    (delivery,) = await bench.source.receive(10)
    assert (delivery.body, delivery.attempt) == ("a", 1)
    assert await bench.source.receive(10) == []


async def test_no_more_than_asked_for_is_received(bench: Bench) -> None:
    for body in "abc":
        await bench.send(body)
    assert len(await bench.source.receive(2)) == 2


async def test_a_message_that_is_not_settled_comes_back_with_the_same_id(bench: Bench) -> None:
    await bench.send("a")
    (first,) = await bench.source.receive(1)
    await bench.let_locks_end()
    (second,) = await bench.source.receive(1)
    assert (second.id, second.attempt) == (first.id, 2)


async def test_a_completed_message_is_gone(bench: Bench) -> None:
    await bench.send("a")
    (delivery,) = await bench.source.receive(1)
    await bench.source.complete(delivery)
    await bench.let_locks_end()
    assert await bench.source.receive(1) == []


async def test_a_released_message_comes_back(bench: Bench) -> None:
    await bench.send("a")
    (delivery,) = await bench.source.receive(1)
    await bench.source.release(delivery, 0)
    (again,) = await bench.source.receive(1)
    assert again.id == delivery.id


async def test_a_rejected_message_is_kept_aside_with_its_reason(bench: Bench) -> None:
    await bench.send("a")
    (delivery,) = await bench.source.receive(1)
    await bench.source.reject(delivery, "NotJSON", "Why, in words.")
    assert await bench.rejected() == [("a", "NotJSON", "Why, in words.")]
    await bench.let_locks_end()
    assert await bench.source.receive(1) == []


async def test_settling_what_somebody_else_has_by_now_changes_nothing(bench: Bench) -> None:
    await bench.send("a")
    (late,) = await bench.source.receive(1)
    await bench.let_locks_end()
    (current,) = await bench.source.receive(1)
    await bench.source.complete(late)
    await bench.source.release(late, 0)
    await bench.source.release(current, 0)
    assert len(await bench.source.receive(1)) == 1


async def test_a_missing_storage_queue_is_made(azurite: Azurite) -> None:
    source = StorageQueue(azurite.connection_string, "not-there-yet")
    assert await source.receive(1) == []
    assert await source.receive(1) == []
    await source.close()


async def test_the_identity_of_a_storage_queue_names_account_and_queue_but_no_key(azurite: Azurite) -> None:
    source = StorageQueue(azurite.connection_string, "cats")
    assert source.identity == f"storage://127.0.0.1:{azurite.queue_port}/devstoreaccount1/cats"
    await source.close()


async def test_an_unreachable_account_is_said() -> None:
    text = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:1/a"
    source = StorageQueue(text, "cats")
    with pytest.raises(SourceUnavailableError, match=r"storage://127\.0\.0\.1:1/a/cats"):
        await source.receive(1)
    await source.close()


def test_a_broken_connection_string_is_said() -> None:
    with pytest.raises(SettingsError, match="AZURE_STORAGE_CONNECTION_STRING"):
        StorageQueue("nonsense", "cats")
