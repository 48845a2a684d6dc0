"""Rejection of a message: its callback, and then the dead-letter queue, on a virtual clock."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from vott_messaging.callbacks.host_limits import Attempt
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.delivery.rejection import CALLBACK_SECONDS, Rejection
from vott_messaging.delivery.retries import BACKOFF
from vott_messaging.errors import CallbackError, MessageRejectedError, PostponedError, SourceUnavailableError
from vott_messaging.queues.base import Delivery, QueueSource

pytestmark = pytest.mark.looptime
DELIVERY = Delivery("1", b"{}", attempt=1, lock_seconds=30.0, handle=None)
REJECTED = MessageRejectedError("NotJSON", "The message is not JSON.", "https://host/status")
PERMANENT = CallbackError("unsubscribed", permanent=True)


class Steps:
    """Queue and callback receiver that record the steps. Posts fail with `error` after `seconds`."""

    identity = "memory://queue"

    def __init__(self, error: CallbackError | None = None, seconds: float = 0.0, unavailable: int = 0) -> None:
        self.steps: list[str] = []
        self.webhook_ids: list[str] = []
        self.attempts: list[Attempt] = []
        self._error = error
        self._seconds = seconds
        self._unavailable = unavailable
        """How many attempts at dead-lettering fail."""

    async def send(self, _url: str, webhook_id: str, body: Mapping[str, Any], attempt: Attempt, _: float) -> None:
        self.steps.append(body["state"])
        self.attempts.append(attempt)
        self.webhook_ids.append(webhook_id)
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error

    async def dead_letter(self, _delivery: Delivery, reason: str, _message: str) -> None:
        if self._unavailable:
            self._unavailable -= 1
            raise SourceUnavailableError("no route")
        self.steps.append(reason)


def busy(retry_after: float | None = None) -> CallbackError:
    return CallbackError("busy", permanent=False, retry_after=retry_after)


async def reject(steps: Steps, error: MessageRejectedError = REJECTED) -> float:
    """Returns the seconds that it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await Rejection(cast("QueueSource", steps), cast("CallbackSender", steps)).reject(DELIVERY, error)
    return loop.time() - started


@pytest.mark.parametrize(
    ("error", "posts"), [(None, 1), (PERMANENT, 1), (busy(), 2)], ids=["delivered", "permanent", "temporary"]
)
async def test_the_callback_is_posted_before_the_message_is_dead_lettered(
    error: CallbackError | None, posts: int
) -> None:
    steps = Steps(error)
    await reject(steps)
    assert steps.steps == ["failed"] * posts + ["NotJSON"]


@pytest.mark.parametrize("error", [busy(), PostponedError("not tried yet")], ids=["failed", "not tried"])
async def test_the_second_attempt_does_not_wait_for_the_hosts_circuit(error: CallbackError) -> None:
    steps = Steps(error)
    await reject(steps)
    assert steps.attempts == [Attempt.FIRST, Attempt.LAST]


async def test_a_receiver_cannot_delay_the_second_attempt_for_long() -> None:
    steps = Steps(busy(retry_after=3600))
    assert await reject(steps) == pytest.approx(BACKOFF.longest)
    assert steps.steps == ["failed", "failed", "NotJSON"]


async def test_a_slow_receiver_does_not_hold_the_message() -> None:
    steps = Steps(seconds=3600)
    assert await reject(steps) == pytest.approx(CALLBACK_SECONDS)
    assert steps.steps == ["failed", "NotJSON"]


async def test_a_message_without_a_callback_is_dead_lettered_at_once() -> None:
    steps = Steps()
    assert await reject(steps, MessageRejectedError("NotJSON", "The message is not JSON.")) == 0
    assert steps.steps == ["NotJSON"]


async def test_dead_lettering_is_retried_until_the_queue_is_reachable() -> None:
    steps = Steps(unavailable=20)
    await reject(steps)
    assert steps.steps == ["failed", "NotJSON"]


async def test_messages_of_one_id_are_different_to_a_receiver_that_ignores_repeats() -> None:
    steps = Steps()
    rejection = Rejection(cast("QueueSource", steps), cast("CallbackSender", steps))
    for sequence in ("1", "2", "2"):
        await rejection.reject(replace(DELIVERY, sequence=sequence), REJECTED)
    assert steps.webhook_ids[0] != steps.webhook_ids[1] == steps.webhook_ids[2]
