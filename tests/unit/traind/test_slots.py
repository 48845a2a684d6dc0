"""Slots are handed out in the order of the requests."""

import asyncio

from vott_traind.devices import Slot
from vott_traind.slots import Slots


async def test_who_waits_gets_the_slot_before_who_asks_again() -> None:
    slots = Slots([Slot(0)])
    lease = await slots.take()
    waiting = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    lease.release()
    again = asyncio.create_task(slots.take())
    assert (await waiting).slot == Slot(0)
    assert not again.done()
    waiting.result().release()
    assert (await again).slot == Slot(0)


async def test_a_cancelled_request_takes_no_slot() -> None:
    slots = Slots([Slot(0)])
    lease = await slots.take()
    waiting = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    waiting.cancel()
    lease.release()
    async with asyncio.timeout(5):
        assert (await slots.take()).slot == Slot(0)


async def test_a_lease_is_released_once_by_its_last_holder() -> None:
    slots = Slots([Slot(0), Slot(1)])
    first = await slots.take()
    second = first.hand_over()
    first.release()
    assert second.slot == Slot(0)
    second.release()
    second.release()
    assert [(await slots.take()).slot for _ in range(2)] == [Slot(1), Slot(0)]
