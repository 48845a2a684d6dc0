"""The polling interval of a storage queue, on a clock that only advances by sleeping."""

import itertools
from collections.abc import Iterator

import pytest

from vott_messaging.queues.storage.polling import Poller


class Clock:
    """Advances only by sleeping."""

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
    """Delivers messages, which are their arrival times, and records when it is polled."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.polls: list[float] = []
        self.arrivals: list[float] = []

    async def receive(self) -> list[float]:
        self.polls.append(self.clock.now)
        messages = [time for time in self.arrivals if time <= self.clock.now]
        self.arrivals = [time for time in self.arrivals if time > self.clock.now]
        return messages


def poller_on(clock: Clock) -> Poller:
    return Poller(clock.monotonic, clock.sleep)


async def poll_idle(queue: Queue, seconds: float, wait_seconds: float = 2.0) -> Poller:
    poller, end = poller_on(queue.clock), queue.clock.now + seconds
    while queue.clock.now < end:
        await poller.poll(queue.receive, wait_seconds)
    return poller


@pytest.mark.parametrize("wait_seconds", [1.0, 2.0, 20.0])
async def test_an_idle_queue_is_polled_once_a_second(clock: Clock, wait_seconds: float) -> None:
    queue = Queue(clock)
    await poll_idle(queue, 600, wait_seconds)
    late = [time for time in queue.polls if time > 1010]
    assert len(late) <= 591


async def test_after_a_message_the_queue_is_polled_at_once(clock: Clock) -> None:
    queue = Queue(clock)
    poller = await poll_idle(queue, 60)
    queue.arrivals = [clock.now]
    assert await poller.poll(queue.receive, 2)
    polls, now = len(queue.polls), clock.now
    await poller.poll(queue.receive, 2)
    assert queue.polls[polls] == now


async def test_a_message_waits_for_a_second_at_most(clock: Clock) -> None:
    queue, delays = Queue(clock), []
    for offset in offsets():
        poller = await poll_idle(queue, 30)
        arrival = clock.now + offset
        queue.arrivals = [arrival]
        while not await poller.poll(queue.receive, 2):
            pass
        delays.append(clock.now - arrival)
    assert max(delays) <= 1.0
    assert sorted(delays)[len(delays) // 2] <= 0.6


def offsets() -> Iterator[float]:
    return itertools.islice(itertools.count(0.05, 0.0937), 40)


async def test_polling_an_empty_queue_ends_with_the_wait(clock: Clock) -> None:
    queue = Queue(clock)
    before = clock.now
    assert await poller_on(clock).poll(queue.receive, 5) == []
    assert clock.now == pytest.approx(before + 5)


async def test_a_queue_is_polled_once_even_without_waiting(clock: Clock) -> None:
    queue = Queue(clock)
    poller = await poll_idle(queue, 60)
    queue.arrivals = [clock.now]
    assert await poller.poll(queue.receive, 0)
