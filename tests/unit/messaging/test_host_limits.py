"""Whose turn it is to be posted to, on a virtual clock."""

import asyncio
import itertools
from math import inf

import pytest

from vott_guard.backoff import Backoff
from vott_messaging.callbacks import host_limits
from vott_messaging.callbacks.host_limits import Attempt, HostLimits, Permit

pytestmark = pytest.mark.looptime


def limits(workers: int = 8) -> HostLimits:
    return HostLimits(workers, Backoff(first=2.0, longest=120.0, jitter=0.0))


def queue(limits: HostLimits, *hosts: str, attempt: Attempt = Attempt.FIRST) -> list["asyncio.Task[Permit]"]:
    """Ask for a permit for each."""
    return [asyncio.create_task(limits.acquire(host, attempt)) for host in hosts]


async def granted(tasks: list["asyncio.Task[Permit]"]) -> list[int]:
    """The numbers of those that have their permit."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [number for number, task in enumerate(tasks) if task.done()]


def end(limits: HostLimits, permit: Permit, *, answered: bool) -> None:
    limits.record(permit, answered=answered)
    limits.release(permit)


async def attempt(limits: HostLimits, host: str, *, answered: bool) -> None:
    end(limits, await limits.acquire(host), answered=answered)


async def test_a_new_host_is_tried_once_at_a_time_until_it_answers() -> None:
    tried = limits(workers=8)
    tasks = queue(tried, "a", "a", "a", "a")
    assert await granted(tasks) == [0]
    end(tried, tasks[0].result(), answered=True)
    assert await granted(tasks) == [0, 1, 2]  # a quarter of the workers
    assert tried.waiting == 1


async def test_hosts_that_hang_leave_workers_for_one_that_answers() -> None:
    tried = limits(workers=8)
    await attempt(tried, "healthy", answered=True)
    hanging = queue(tried, *(f"hanging-{number}" for number in range(2000)))
    assert len(await granted(hanging)) == 6
    assert await granted(queue(tried, "healthy", "healthy")) == [0, 1]


async def test_a_new_host_comes_before_those_that_did_not_answer() -> None:
    tried = limits(workers=4)
    failing = [f"failing-{number}" for number in range(10)]
    for host in failing:
        await attempt(tried, host, answered=False)
    busy = queue(tried, "busy-0", "busy-1", "busy-2")
    again = queue(tried, *failing)
    await asyncio.sleep(3)
    new = queue(tried, "new")
    assert (await granted(again), await granted(new)) == ([], [])
    end(tried, (await busy[0]), answered=False)
    assert (await granted(again), await granted(new)) == ([], [0])


async def test_a_retry_at_an_unknown_host_comes_after_first_attempts() -> None:
    tried = limits(workers=1)
    (busy,) = queue(tried, "busy")
    retries = queue(tried, "a", "b", attempt=Attempt.RETRY)
    first = queue(tried, "c")
    end(tried, await busy, answered=False)
    assert (await granted(retries), await granted(first)) == ([], [0])


async def test_first_attempts_at_a_host_come_before_its_retries() -> None:
    tried = limits()
    (busy,) = queue(tried, "a")
    retries = queue(tried, "a", "a", attempt=Attempt.RETRY)
    first = queue(tried, "a")
    await granted(first)
    end(tried, await busy, answered=False)
    await asyncio.sleep(2)
    assert (await granted(retries), await granted(first)) == ([], [0])


async def test_a_host_that_does_not_answer_is_tried_at_growing_intervals_with_one_attempt() -> None:
    tried, loop = limits(), asyncio.get_running_loop()
    tasks, starts = queue(tried, *["a"] * 10), []
    for number in range(10):
        permit = await tasks[number]
        starts.append(loop.time())
        assert await granted(tasks) == list(range(number + 1))
        end(tried, permit, answered=False)
        assert tried.open_circuits == 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses == pytest.approx([2, 4, 8, 16, 32, 64, 120, 120, 120])


async def test_hosts_that_answer_slowly_leave_workers_for_a_prompt_one_and_for_new_ones() -> None:
    tried = limits(workers=8)
    await attempt(tried, "prompt", answered=True)
    slow = [f"slow-{number}" for number in range(20)]
    for host in slow:
        permit = await tried.acquire(host)
        await asyncio.sleep(9)
        end(tried, permit, answered=True)
    assert tried.open_circuits == 0
    again = queue(tried, *slow)
    assert len(await granted(again)) == 6
    new, prompt = queue(tried, "new"), queue(tried, "prompt")
    assert (await granted(new), await granted(prompt)) == ([], [0])
    end(tried, again[0].result(), answered=True)
    assert await granted(new) == [0]


async def test_a_host_that_answers_slowly_comes_before_those_that_did_not_answer() -> None:
    tried = limits(workers=1)
    await attempt(tried, "silent", answered=False)
    permit = await tried.acquire("slow")
    await asyncio.sleep(9)
    end(tried, permit, answered=True)
    (busy,) = queue(tried, "busy")
    silent, slow = queue(tried, "silent"), queue(tried, "slow")
    await granted([busy])
    end(tried, busy.result(), answered=True)
    assert (await granted(silent), await granted(slow)) == ([], [0])


async def test_a_host_that_answers_slowly_gets_several_attempts_at_a_time() -> None:
    tried = limits(workers=64)
    permit = await tried.acquire("slow")
    await asyncio.sleep(9)
    end(tried, permit, answered=True)
    assert await granted(queue(tried, *["slow"] * 20)) == [0, 1, 2, 3]


async def test_an_answer_closes_the_circuit() -> None:
    tried = limits(workers=8)
    for _ in range(5):
        await attempt(tried, "a", answered=False)
    await attempt(tried, "a", answered=True)
    assert tried.open_circuits == 0
    assert await granted(queue(tried, "a", "a")) == [0, 1]


async def test_failures_at_the_same_time_count_once() -> None:
    tried, loop = limits(workers=16), asyncio.get_running_loop()
    await attempt(tried, "a", answered=True)
    permits = [await tried.acquire("a") for _ in range(4)]
    for permit in permits:
        end(tried, permit, answered=False)
    started = loop.time()
    await tried.acquire("a")
    assert loop.time() - started == pytest.approx(2)


async def test_a_last_attempt_does_not_wait_for_the_circuit() -> None:
    tried = limits()
    for _ in range(3):
        await attempt(tried, "a", answered=False)
    others = queue(tried, "a", attempt=Attempt.RETRY)
    last = queue(tried, "a", "a", attempt=Attempt.LAST)
    assert (await granted(others), await granted(last)) == ([], [0, 1])
    for permit in last:
        end(tried, permit.result(), answered=False)
    assert await granted(others) == []


async def test_hosts_are_served_in_turn() -> None:
    tried = limits(workers=1)
    for host in ("a", "b"):
        await attempt(tried, host, answered=True)
    (busy,) = queue(tried, "a")
    many, other = queue(tried, *["a"] * 5), queue(tried, "b")
    await granted(many)
    end(tried, await busy, answered=True)
    assert (await granted(many), await granted(other)) == ([], [0])
    end(tried, other[0].result(), answered=True)
    assert await granted(many) == [0]


async def test_whoever_gives_up_waiting_leaves_the_queue() -> None:
    tried = limits(workers=1)
    (busy,) = queue(tried, "a")
    waiting = queue(tried, "a", "b", "b")
    await granted(waiting)
    for task in waiting[:2]:
        task.cancel()
    end(tried, await busy, answered=True)
    assert await granted(waiting) == [0, 1, 2]
    assert (tried.waiting, tried.in_flight) == (0, 1)


async def test_a_permit_that_comes_too_late_is_returned() -> None:
    tried = limits(workers=1)
    (busy,) = queue(tried, "a")
    (waiting,) = queue(tried, "b")
    await granted([waiting])
    end(tried, await busy, answered=True)
    waiting.cancel()
    await granted([waiting])
    assert (tried.waiting, tried.in_flight) == (0, 0)
    assert await granted(queue(tried, "b")) == [0]


async def test_attempts_have_little_time_while_many_hosts_are_new_and_more_after_each_failure() -> None:
    tried = limits(workers=64)
    permits = [await task for task in queue(tried, *(f"host-{number}" for number in range(20)))]
    crowd = host_limits.CROWD
    assert [permit.seconds for permit in permits] == [inf] * crowd + [2.0] * (20 - crowd)
    for seconds in (4.0, 8.0, 16.0):
        end(tried, permits[-1], answered=False)
        permits[-1] = await tried.acquire("host-19")
        assert permits[-1].seconds == seconds
    for permit in permits[:10]:
        end(tried, permit, answered=False)
    assert (await tried.acquire("another")).seconds == inf


async def test_hosts_that_are_not_used_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_limits, "MAX_HOSTS", 3)
    tried = limits()
    for host in "abcde":
        await attempt(tried, host, answered=False)
    assert tried.open_circuits == 3
