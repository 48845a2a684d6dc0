"""How often a queue is asked that can't be waited at. The clock is turned by hand."""

import itertools
from collections.abc import Iterator

import pytest

from vott_operator.queues.storage.polling import Polling


class Clock:
    """Stands still but for sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Queue:
    """Answers with what lies in it; notes when it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[float] = []
        self.arrivals: list[float] = []

    async def ask(self) -> list[float]:
        self.asked.append(self.clock.now)
        here = [time for time in self.arrivals if time <= self.clock.now]
        self.arrivals = [time for time in self.arrivals if time > self.clock.now]
        return here


def polling_with(clock: Clock) -> Polling:
    return Polling(clock.monotonic, clock.sleep)


async def idle(queue: Queue, seconds: float, wait: float = 2.0) -> Polling:
    polling, end = polling_with(queue.clock), queue.clock.now + seconds
    while queue.clock.now < end:
        await polling.wait_for(queue.ask, wait)
    return polling


@pytest.mark.parametrize("wait", [1.0, 2.0, 20.0])
async def test_an_idle_queue_is_asked_once_a_second(clock: Clock, wait: float) -> None:
    queue = Queue(clock)
    await idle(queue, 600, wait)
    late = [time for time in queue.asked if time > 1010]
    assert len(late) <= 591


async def test_after_a_message_the_next_is_asked_for_at_once(clock: Clock) -> None:
    queue = Queue(clock)
    polling = await idle(queue, 60)
    queue.arrivals = [clock.now]
    assert await polling.wait_for(queue.ask, 2)
    before = clock.now
    await polling.wait_for(queue.ask, 0)
    assert queue.asked[-1] == before


async def test_a_message_waits_for_a_second_at_most(clock: Clock) -> None:
    queue, delays = Queue(clock), []
    for offset in spread():
        polling = await idle(queue, 30)
        arrival = clock.now + offset
        queue.arrivals = [arrival]
        while not await polling.wait_for(queue.ask, 2):
            pass
        delays.append(clock.now - arrival)
    assert max(delays) <= 1.0
    assert sorted(delays)[len(delays) // 2] <= 0.6


def spread() -> Iterator[float]:
    return itertools.islice(itertools.count(0.05, 0.0937), 40)


async def test_the_answer_of_an_empty_queue_comes_when_the_wait_is_over(clock: Clock) -> None:
    queue = Queue(clock)
    before = clock.now
    assert await polling_with(clock).wait_for(queue.ask, 5) == []
    assert clock.now == pytest.approx(before + 5)


async def test_a_queue_is_asked_once_even_without_waiting(clock: Clock) -> None:
    queue = Queue(clock)
    polling = await idle(queue, 60)
    queue.arrivals = [clock.now]
    assert await polling.wait_for(queue.ask, 0)
