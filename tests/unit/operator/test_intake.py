"""Intake of one queue: how many messages it takes, and what it does with each."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from tests.support.observed_state import NOW, trainingjob
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import MessageRejectedError
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import MemoryQueue
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.namespaces import Condition, Namespaces
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError
from vott_operator.intake.capacity import Capacity
from vott_operator.intake.conversion import Converter
from vott_operator.intake.intake import MAX_IN_FLIGHT, Intake
from vott_operator.settings.queue import QueueLimits

pytestmark = pytest.mark.looptime
Convert = Callable[[Delivery], TrainingJob]
NAMESPACE = trainingjob().key.namespace
REFUSED = [Condition.FORBIDDEN, Condition.NOT_FOUND, Condition.TERMINATING]


class FakeConverter:
    """Converts each message once it is released."""

    def __init__(self, convert: Convert) -> None:
        self.released = asyncio.Event()
        self._convert = convert

    async def convert(self, delivery: Delivery) -> TrainingJob:
        await self.released.wait()
        return self._convert(delivery)


class FakeRejection:
    """Records the reasons, and dead-letters."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    async def reject(self, delivery: Delivery, error: MessageRejectedError) -> None:
        await self._queue.dead_letter(delivery, error.reason, str(error))


class Harness:
    """The intake of an in-memory queue."""

    def __init__(self, convert: Convert, messages: int = 1, limit: int = 1000) -> None:
        self.queue = MemoryQueue(asyncio.get_running_loop().time)
        for _ in range(messages):
            self.queue.send("{}")
        self.completed: list[Key] = []
        self.capacity = Capacity(Store(NOW), self.queue.identity, QueueLimits(limit, 1000))
        self.converter = FakeConverter(convert)
        rejection = cast("Rejection", FakeRejection(self.queue))
        converter = cast("Converter", self.converter)
        self.namespaces = Namespaces([NAMESPACE], lambda: NOW)
        self.intake = Intake(
            self.queue,
            converter,
            rejection,
            self.capacity,
            self.namespaces,
            NAMESPACE,
            self.completed.append,
            lambda _: None,
            "cats",
        )

    async def set_condition(self, condition: Condition) -> None:
        self.namespaces.record(NAMESPACE, condition, "")

    async def finish(self) -> None:
        self.converter.released.set()
        await self.intake.wait_until_idle()


def created(delivery: Delivery) -> TrainingJob:
    return trainingjob(metadata={"annotations": {c.ANNOTATION_MESSAGE_ID: delivery.id}})


@pytest.mark.parametrize(("limit", "taken"), [(3, 3), (1, 1), (1000, MAX_IN_FLIGHT)])
async def test_a_queue_holds_no_more_messages_than_its_limit(limit: int, taken: int) -> None:
    harness = Harness(created, messages=100, limit=limit)
    for _ in range(5):
        await harness.intake.receive_batch()
    assert harness.queue.attempts == taken
    await harness.finish()
    assert (len(harness.queue), len(harness.completed)) == (100 - taken, taken)


async def test_capacity_is_reserved_while_a_message_is_in_flight() -> None:
    harness = Harness(created, limit=5)
    await harness.intake.receive_batch()
    assert harness.capacity.available == 4
    await harness.finish()
    assert harness.capacity.available == 5


async def test_a_message_is_completed_without_a_report_if_its_trainingjob_is_of_another_message() -> None:
    harness = Harness(lambda _: trainingjob(metadata={"annotations": {c.ANNOTATION_MESSAGE_ID: "another"}}))
    await harness.intake.receive_batch()
    await harness.finish()
    assert (len(harness.queue), harness.completed) == (0, [])


async def test_a_message_is_kept_and_retried_while_the_api_server_fails() -> None:
    failures = 5

    def convert(delivery: Delivery) -> TrainingJob:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ClusterError("unavailable", 503)
        return created(delivery)

    harness = Harness(convert)
    await harness.intake.receive_batch()
    await harness.finish()
    assert (len(harness.queue), harness.queue.attempts, len(harness.completed)) == (0, 1, 1)


async def test_messages_in_flight_are_abandoned_after_the_grace_period() -> None:
    harness, loop = Harness(created), asyncio.get_running_loop()
    await harness.intake.receive_batch()
    started = loop.time()
    await harness.intake.stop(10.0)
    assert loop.time() - started == pytest.approx(10.0)
    assert (len(harness.queue), harness.completed) == (1, [])
    assert await harness.queue.receive(1, 0)


@pytest.mark.parametrize("condition", REFUSED)
async def test_messages_stay_in_the_queue_until_their_namespace_accepts_trainings(condition: Condition) -> None:
    harness = Harness(created, messages=3)
    await harness.set_condition(condition)
    receiving = asyncio.create_task(harness.intake.receive_batch())
    await asyncio.sleep(3600)
    assert harness.queue.attempts == 0
    await harness.set_condition(Condition.USABLE)
    await receiving
    await harness.finish()
    assert (len(harness.queue), len(harness.completed)) == (0, 3)


@pytest.mark.parametrize("condition", REFUSED)
async def test_messages_in_hand_wait_for_their_namespace_without_an_attempt(
    condition: Condition, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = 0

    def convert(delivery: Delivery) -> TrainingJob:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ClusterError("403 forbidden", 403)
        return created(delivery)

    harness = Harness(convert)
    harness.converter.released.set()
    await harness.intake.receive_batch()
    await asyncio.sleep(0.1)
    await harness.set_condition(condition)
    await asyncio.sleep(3600)
    assert (attempts, len(harness.queue), len(harness.completed)) == (1, 1, 0)
    assert len([record for record in caplog.records if "403" in record.getMessage()]) == 1
    await harness.set_condition(Condition.USABLE)
    await harness.finish()
    assert (len(harness.queue), harness.queue.attempts, len(harness.completed)) == (0, 1, 1)


async def test_a_refused_creation_has_the_namespace_checked() -> None:
    def convert(_: Delivery) -> TrainingJob:
        raise ClusterError("403 forbidden", 403)

    harness = Harness(convert)
    harness.converter.released.set()
    await harness.intake.receive_batch()
    started = asyncio.get_running_loop().time()
    await harness.namespaces.wait_for_check(NAMESPACE, 3600)
    assert asyncio.get_running_loop().time() - started < 1
    await harness.intake.stop(0)
