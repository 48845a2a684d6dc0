"""Behaviour specific to storage queues; test_queue_sources.py has the contract of all queues."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from azure.storage.queue.aio import QueueClient

from localcluster.azurite import Azurite
from tests.support.secret_mount import mount_secret
from vott_messaging.errors import LostMessageError
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.storage import queue
from vott_messaging.queues.storage.errors import UnreadableError
from vott_messaging.queues.storage.queue import StorageQueue
from vott_messaging.settings.queue import QueueSettings

LOCK_SECONDS = 1
NOT_XML = "a control character \x01 that XML can't have"


@pytest.fixture
async def outside(azurite: Azurite) -> AsyncIterator[QueueClient]:
    """The queue, as senders and administrators see it."""
    async with QueueClient.from_connection_string(azurite.connection_string, f"own-{secrets.token_hex(6)}") as client:
        await client.create_queue()
        yield client


@pytest.fixture
async def source(azurite: Azurite, outside: QueueClient, tmp_path: Path) -> AsyncIterator[StorageQueue]:
    folder = mount_secret(tmp_path, {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string})
    source = StorageQueue(QueueSettings(name=outside.queue_name), Credentials(folder))
    yield source
    await source.close()


async def bodies(source: StorageQueue, count: int) -> set[bytes]:
    """Receive and complete `count` messages, despite unreadable ones."""
    received: set[bytes] = set()
    while len(received) < count:
        with suppress(UnreadableError):
            for delivery in await source.receive(32, 1):
                await source.complete(delivery)
                received.add(delivery.body)
    return received


async def test_an_unreadable_message_does_not_block_the_others(
    source: StorageQueue, outside: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "VISIBILITY_TIMEOUT_SECONDS", LOCK_SECONDS)
    for body in (NOT_XML, "one", "two", NOT_XML, "three"):
        await outside.send_message(body)
    async with asyncio.timeout(60):
        assert await bodies(source, 3) == {b"one", b"two", b"three"}


async def test_a_message_is_settled_with_the_newest_pop_receipt(source: StorageQueue, outside: QueueClient) -> None:
    await outside.send_message("one")
    (delivery,) = await source.receive(1, 0)
    first = delivery.handle.pop_receipt
    await source.renew_lock(delivery)
    await source.renew_lock(delivery)
    assert delivery.handle.pop_receipt != first
    await source.complete(delivery)
    assert (await outside.get_queue_properties()).approximate_message_count == 0


async def test_a_message_can_be_settled_during_lock_renewal(source: StorageQueue, outside: QueueClient) -> None:
    for turns in range(40):
        await outside.send_message("one")
        (delivery,) = await source.receive(1, 5)
        renewing = asyncio.create_task(source.renew_lock(delivery))
        for _ in range(turns):
            await asyncio.sleep(0)
        renewing.cancel()  # as when intake settles the message
        await source.complete(delivery)
        assert (await outside.get_queue_properties()).approximate_message_count == 0


async def test_a_message_with_a_lost_lock_is_not_dead_lettered(
    source: StorageQueue, outside: QueueClient, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "VISIBILITY_TIMEOUT_SECONDS", LOCK_SECONDS)
    await outside.send_message("one")
    (late,) = await source.receive(1, 0)
    await asyncio.sleep(LOCK_SECONDS + 0.5)
    monkeypatch.undo()  # this lock must not expire
    (current,) = await source.receive(1, 30)
    with pytest.raises(LostMessageError):
        await source.renew_lock(late)
    await source.dead_letter(late, "NotJSON", "It is not JSON.")
    poison = QueueClient.from_connection_string(azurite.connection_string, f"{outside.queue_name}-poison")
    async with poison:
        await poison.create_queue()
        assert not await poison.peek_messages()
        await source.dead_letter(current, "NotJSON", "It is not JSON.")
        assert len(await poison.peek_messages()) == 1


async def test_a_message_delivered_to_a_cancelled_receive_is_available_at_once(
    source: StorageQueue, outside: QueueClient
) -> None:
    await outside.send_message("one")
    for turns in range(40):
        receiving = asyncio.create_task(source.receive(1, 0))
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        for delivery in (await asyncio.gather(receiving, return_exceptions=True))[0:1]:
            if isinstance(delivery, list) and delivery:
                await source.abandon(delivery[0])
        (message,) = await outside.peek_messages()
        assert message.content == "one"


async def test_a_missing_queue_is_created(source: StorageQueue, outside: QueueClient) -> None:
    await outside.delete_queue()
    assert await source.receive(1, 0) == []
    await outside.send_message("one")
    assert await bodies(source, 1) == {b"one"}
