"""Renewal of a message's lock, on a virtual clock."""

import asyncio
from typing import cast

import pytest

from vott_messaging.delivery.message_lock import renew_lock
from vott_messaging.errors import LostMessageError, SettingsError, SourceUnavailableError, VottError
from vott_messaging.queues.base import Delivery, QueueSource

pytestmark = pytest.mark.looptime
DELIVERY = Delivery("1", b"{}", attempt=1, lock_seconds=30.0, handle=None)


class Source:
    """Renews locks, unless it is unreachable or the lock was lost."""

    def __init__(self) -> None:
        self.renewals = 0
        self.error: Exception | None = None

    async def renew_lock(self, _: Delivery) -> None:
        if self.error is not None:
            raise self.error
        self.renewals += 1


async def test_a_lock_is_renewed_before_it_expires() -> None:
    source = Source()
    task = asyncio.create_task(renew_lock(cast("QueueSource", source), DELIVERY))
    await asyncio.sleep(95)
    task.cancel()
    assert source.renewals == 9


async def test_a_queue_that_is_unreachable_until_the_lock_expires_loses_the_message() -> None:
    source, loop = Source(), asyncio.get_running_loop()
    source.error = SourceUnavailableError("no route")
    started = loop.time()
    with pytest.raises(LostMessageError, match="no route"):
        await renew_lock(cast("QueueSource", source), DELIVERY)
    assert DELIVERY.lock_seconds <= loop.time() - started <= DELIVERY.lock_seconds * 1.1 + 1e-6


@pytest.mark.parametrize("error", [SourceUnavailableError("no route"), SettingsError("the key is not one")])
async def test_a_queue_that_is_unreachable_for_a_while_loses_nothing(error: VottError) -> None:
    source = Source()
    source.error = error
    task = asyncio.create_task(renew_lock(cast("QueueSource", source), DELIVERY))
    await asyncio.sleep(20)
    source.error = None
    await asyncio.sleep(20)
    assert not task.done()
    assert source.renewals > 0
    task.cancel()


async def test_a_lost_lock_ends_the_renewal() -> None:
    source = Source()
    source.error = LostMessageError("taken")
    with pytest.raises(LostMessageError, match="taken"):
        await renew_lock(cast("QueueSource", source), DELIVERY)
