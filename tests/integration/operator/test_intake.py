"""Create, then settle: intake against a real API server, with a queue whose moments can be chosen."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.corner import Corner
from vott_operator.callbacks import CallbackSender
from vott_operator.cluster import Cluster
from vott_operator.errors import SourceUnavailableError
from vott_operator.intake import Intake
from vott_operator.models import TrainingJob
from vott_operator.queues.base import Delivery
from vott_operator.queues.memory import LOCK_SECONDS, MemoryQueue
from vott_operator.settings import CallbackSettings, Settings

BODY = json.dumps({"annotations": "https://host/a.csv", "model": "https://store/models?sig=S"})


class Clock:
    """Seconds that pass only when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class RoomyOwner:
    """Has room for more, always."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def room(self) -> int:
        return 10

    def noticed(self, trainingjob: TrainingJob) -> None:
        """Nobody watches here."""


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
async def intake(corner: Corner, cluster: Cluster) -> AsyncIterator[tuple[MemoryQueue, Intake, Clock]]:
    clock = Clock()
    queue = MemoryQueue(clock)
    async with CallbackSender(CallbackSettings()) as callbacks:
        yield queue, Intake(queue, cluster, callbacks, RoomyOwner(Settings(namespace=corner.name))), clock


async def test_a_message_is_settled_only_after_the_trainingjob_exists(
    corner: Corner, intake: tuple[MemoryQueue, Intake, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, taker, _ = intake
    there: list[int] = []

    async def complete(_: MemoryQueue, delivery: Delivery) -> None:  # noqa: ARG001
        there.append(len(corner.trainingjobs()) + len(corner.kubectl.list("secrets", "vott.dev/trainingjob")))

    monkeypatch.setattr(MemoryQueue, "complete", complete)
    queue.send(BODY)
    await taker.take_batch()
    assert there == [2]


async def test_a_kill_between_create_and_settle_makes_no_second_trainingjob(
    corner: Corner, intake: tuple[MemoryQueue, Intake, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, taker, clock = intake

    async def killed(_: MemoryQueue, delivery: Delivery) -> None:
        raise KilledError(delivery.id)

    queue.send(BODY)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryQueue, "complete", killed)
        with pytest.raises(KilledError):
            await taker.take_batch()
    assert len(queue) == 1
    clock.now += LOCK_SECONDS
    await taker.take_batch()
    assert (len(queue), len(corner.trainingjobs()), queue.rejected) == (0, 1, [])


async def test_a_fault_of_ours_stops_nobody_and_is_put_aside_in_the_end(
    corner: Corner, cluster: Cluster, intake: tuple[MemoryQueue, Intake, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, taker, clock = intake

    async def stumble(*_: object) -> None:
        raise ZeroDivisionError

    queue.send(BODY)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "create_trainingjob", stumble)
        for _ in range(5):
            await taker.take_batch()
            clock.now += LOCK_SECONDS
        await taker.rejected()
    assert [reason for _, reason, _ in queue.rejected] == ["InternalError"]
    queue.send(BODY)
    await taker.take_batch()
    assert len(corner.trainingjobs()) == 1


async def test_a_busy_callback_of_a_rejected_message_is_tried_again(intake: tuple[MemoryQueue, Intake, Clock]) -> None:
    queue, taker, clock = intake
    queue.send('{"status": "https://127.0.0.1:1/s"}')
    attempts = 0
    while len(queue) and attempts < 10:
        attempts += 1
        await taker.take_batch()
        await taker.rejected()
        clock.now += LOCK_SECONDS
    assert (attempts, len(queue.rejected)) == (5, 1)


async def test_a_kill_between_trainingjob_and_secret_is_made_good(
    corner: Corner, cluster: Cluster, intake: tuple[MemoryQueue, Intake, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, taker, clock = intake

    async def killed(*_: object) -> None:
        raise KilledError

    queue.send(BODY)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "create_secret", killed)
        with pytest.raises(KilledError):
            await taker.take_batch()
    clock.now += LOCK_SECONDS
    await taker.take_batch()
    assert (len(queue), len(corner.kubectl.list("secrets", "vott.dev/trainingjob"))) == (0, 1)


async def test_a_queue_that_is_away_is_said(
    intake: tuple[MemoryQueue, Intake, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, taker, _ = intake

    async def away(*_: object) -> list[Delivery]:
        raise SourceUnavailableError("storage://x: no route")

    monkeypatch.setattr(MemoryQueue, "receive", away)
    with pytest.raises(SourceUnavailableError):
        await taker.take_batch()
