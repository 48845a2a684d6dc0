"""Settlement of a message after its work, on a virtual clock, with an in-memory queue."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from vott_messaging import reasons
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.delivery.settlement import INTERNAL_ERROR_SECONDS, Settlement
from vott_messaging.errors import (
    LostMessageError,
    MessageGivenBackError,
    MessageRejectedError,
    SourceUnavailableError,
    VottError,
)
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import LOCK_SECONDS, MemoryQueue

pytestmark = pytest.mark.looptime
HOURS = 3600.0


class Queue(MemoryQueue):
    """A queue that is unreachable for `outages` attempts at completion."""

    outages = 0

    async def complete(self, delivery: Delivery) -> bool:
        if self.outages:
            self.outages -= 1
            raise SourceUnavailableError("no route")
        return await super().complete(delivery)


class Harness:
    """A queue with one message, and work that counts its calls."""

    def __init__(self) -> None:
        self.queue = Queue(asyncio.get_running_loop().time)
        self.queue.send("{}")
        self.calls = 0
        no_callbacks = cast("CallbackSender", None)
        self._settlement = Settlement(self.queue, Rejection(self.queue, no_callbacks), "operator")

    async def settle(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Receive the message, and settle it after `work`."""

        async def counted(_: Delivery) -> Any:
            self.calls += 1
            return await work()

        (delivery,) = await self.queue.receive(1, 0)
        return await self._settlement.settle(delivery, counted)

    @property
    def reasons(self) -> list[str]:
        """The reason of each dead letter."""
        return [reason for _, reason, _ in self.queue.dead_letters]


async def returns(result: str = "done", seconds: float = 0.0) -> str:
    await asyncio.sleep(seconds)
    return result


async def raises(error: Exception) -> None:
    raise error


async def test_a_message_is_completed_after_its_work() -> None:
    harness = Harness()
    assert await harness.settle(returns) == "done"
    assert (len(harness.queue), harness.reasons) == (0, [])


async def test_the_lock_is_kept_while_the_work_takes_hours() -> None:
    harness = Harness()
    assert await harness.settle(lambda: returns(seconds=5 * HOURS)) == "done"
    assert (len(harness.queue), harness.queue.attempts) == (0, 1)


async def test_a_message_that_is_given_back_can_be_received_at_once() -> None:
    harness = Harness()
    assert await harness.settle(lambda: raises(MessageGivenBackError("the program stops"))) is None
    assert (harness.calls, harness.reasons) == (1, [])
    assert len(await harness.queue.receive(1, 0)) == 1


async def test_a_renewal_that_comes_after_the_settlement_is_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    """A renewal on its way is not cancelled, and fails if the message was settled meanwhile."""
    harness = Harness()

    async def renew_to_the_end(delivery: Delivery) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(HOURS)
        raise LostMessageError(f"message {delivery.id} is gone")

    harness.queue.renew_lock = renew_to_the_end  # type: ignore[method-assign]
    assert await harness.settle(lambda: returns(seconds=LOCK_SECONDS / 2)) == "done"
    assert len(harness.queue) == 0
    assert caplog.records == []


async def test_a_rejected_message_is_dead_lettered() -> None:
    harness = Harness()
    error = MessageRejectedError(reasons.INVALID_MESSAGE, "It is wrong.")
    assert await harness.settle(lambda: raises(error)) is None
    assert (harness.calls, len(harness.queue), harness.reasons) == (1, 0, [reasons.INVALID_MESSAGE])


async def test_work_is_retried_as_long_as_it_is_expected_to_fail() -> None:
    harness, loop = Harness(), asyncio.get_running_loop()
    end = loop.time() + 5 * INTERNAL_ERROR_SECONDS

    async def work() -> str:
        if loop.time() < end:
            raise VottError("not now")
        return "done"

    assert await harness.settle(work) == "done"
    assert (len(harness.queue), harness.reasons) == (0, [])


async def test_an_internal_error_is_retried_for_a_while_and_then_rejects_the_message() -> None:
    harness, loop = Harness(), asyncio.get_running_loop()
    started = loop.time()
    assert await harness.settle(lambda: raises(ZeroDivisionError())) is None
    assert INTERNAL_ERROR_SECONDS <= loop.time() - started <= INTERNAL_ERROR_SECONDS + 30
    ((_, reason, text),) = harness.queue.dead_letters
    assert reason == reasons.INTERNAL_ERROR
    assert text == f"The operator failed {harness.calls} times at this message (ZeroDivisionError); see its log."


async def test_an_internal_error_after_hours_of_work_is_retried_too() -> None:
    harness = Harness()

    async def work() -> str:
        await asyncio.sleep(2 * INTERNAL_ERROR_SECONDS)
        if harness.calls == 1:
            raise ZeroDivisionError
        return "done"

    assert await harness.settle(work) == "done"
    assert (harness.calls, harness.reasons) == (2, [])


async def test_the_work_is_not_repeated_when_the_queue_is_unreachable_at_its_end() -> None:
    harness = Harness()
    harness.queue.outages = 20
    assert await harness.settle(returns) == "done"
    assert (harness.calls, len(harness.queue)) == (1, 0)


async def test_work_ends_before_the_message_is_given_up_when_the_lock_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(_: MemoryQueue, delivery: Delivery) -> None:
        raise LostMessageError(delivery.id)

    monkeypatch.setattr(MemoryQueue, "renew_lock", lost)
    harness, ended = Harness(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(HOURS)
        finally:
            await asyncio.sleep(LOCK_SECONDS)  # a child process ends
            ended.set()

    assert await harness.settle(work) is None
    assert ended.is_set()
    assert (harness.calls, len(harness.queue), harness.reasons) == (1, 1, [])


async def test_a_message_that_was_settled_by_another_receiver_has_no_result() -> None:
    harness = Harness()

    async def work() -> str:
        await harness.queue.receive(1, 0)
        harness.queue._messages.clear()
        return "done"

    assert await harness.settle(work) is None


async def test_a_cancelled_message_is_abandoned_after_its_work_has_ended() -> None:
    harness, ended = Harness(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(HOURS)
        finally:
            await asyncio.sleep(1)
            ended.set()

    settling = asyncio.create_task(harness.settle(work))
    await asyncio.sleep(10)
    settling.cancel()
    await asyncio.wait([settling])
    assert settling.cancelled()
    assert ended.is_set()
    assert len(await harness.queue.receive(1, 0)) == 1
