"""The work queue, on a virtual clock: `asyncio.sleep` takes no real time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from vott_operator.workqueue import BACKOFF, GivenUpError, WorkQueue

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def running(
    work: Callable[[str], Awaitable[float | None]], workers: int | None = 4
) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue[str]("test", workers=workers)
    task = asyncio.create_task(queue.run(work))
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_key_that_waits_is_processed_once() -> None:
    processed: list[str] = []

    async def work(key: str) -> None:
        processed.append(key)

    async with running(work) as queue:
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        await asyncio.sleep(1)
    assert sorted(processed) == ["a", "b"]


@pytest.mark.parametrize(("workers", "processed"), [(4, 4), (None, 100)])
async def test_as_many_keys_are_processed_at_a_time_as_there_are_workers(workers: int | None, processed: int) -> None:
    started: list[str] = []

    async def work(key: str) -> None:
        started.append(key)
        await asyncio.Event().wait()

    async with running(work, workers) as queue:
        for number in range(100):
            queue.add(str(number))
        await asyncio.sleep(1)
    assert len(started) == processed


@pytest.mark.parametrize("workers", [4, None])
async def test_a_key_is_never_processed_twice_at_once_and_no_trigger_is_lost(workers: int | None) -> None:
    active, most, passes = 0, 0, 0

    async def work(_: str) -> None:
        nonlocal active, most, passes
        active, passes = active + 1, passes + 1
        most = max(most, active)
        await asyncio.sleep(2)
        active -= 1

    async with running(work, workers) as queue:
        queue.add("a")
        await asyncio.sleep(1)
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(60)
    assert (most, passes) == (1, 2)


async def test_a_failure_is_retried_and_does_not_stop_others(caplog: pytest.LogCaptureFixture) -> None:
    processed: list[str] = []

    async def work(key: str) -> None:
        processed.append(key)
        if key == "bad" and processed.count("bad") == 1:
            raise OSError("no network")

    async with running(work) as queue:
        queue.add("bad")
        queue.add("good")
        await asyncio.sleep(60)
    assert sorted(processed) == ["bad", "bad", "good"]
    assert "no network" in caplog.text


async def test_an_outage_that_all_keys_meet_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def work(key: str) -> None:
        raise ConnectionError(f"no answer to {key}") if key != "bad" else OSError("refused")

    queue = WorkQueue[str]("test", workers=4, expected=OSError, outage=ConnectionError)
    task = asyncio.create_task(queue.run(work))
    for key in ("a", "b", "c", "bad"):
        queue.add(key)
    await asyncio.sleep(60)
    task.cancel()
    assert [text.partition(";")[0] for text in caplog.messages] == ["no answer to a", "refused"]


async def test_a_key_that_keeps_failing_is_retried_ever_more_seldom_but_never_given_up() -> None:
    attempts: list[float] = []

    async def work(_: str) -> None:
        attempts.append(asyncio.get_running_loop().time())
        raise OSError("no network")

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(20 * BACKOFF.longest)
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert pauses[0] < 1
    assert BACKOFF.longest / 2 <= pauses[-1] <= BACKOFF.longest + 1e-6


async def test_the_backoff_starts_over_after_a_success() -> None:
    attempts: list[float] = []

    async def work(_: str) -> None:
        attempts.append(asyncio.get_running_loop().time())
        if len(attempts) not in (10, 20):
            raise OSError("no network")

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(10 * BACKOFF.longest)
        queue.add("a")
        await asyncio.sleep(10 * BACKOFF.longest)
    assert len(attempts) == 20
    assert attempts[11] - attempts[10] <= BACKOFF.first + 1e-6


async def test_a_requested_delay_is_kept() -> None:
    passes: list[float] = []

    async def work(_: str) -> float | None:
        passes.append(asyncio.get_running_loop().time())
        return 60.0 if len(passes) == 1 else None

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(600)
    assert [round(later - passes[0]) for later in passes] == [0, 60]


async def test_a_trigger_comes_before_a_requested_delay() -> None:
    passes = 0

    async def work(_: str) -> float | None:
        nonlocal passes
        passes += 1
        return 60.0 if passes == 1 else None

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(30)
        assert passes == 1
        queue.add("a")
        await asyncio.sleep(1)
        assert passes == 2
        await asyncio.sleep(600)
    assert passes == 2


@pytest.mark.parametrize("workers", [4, None])
async def test_passes_that_wait_for_nothing_let_other_tasks_have_their_turn(workers: int | None) -> None:
    processed: list[str] = []

    async def work(key: str) -> None:
        processed.append(key)

    async with running(work, workers) as queue:
        for number in range(1000):
            queue.add(str(number))
        turns = 0
        while len(processed) < 1000:
            turns += 1
            await asyncio.sleep(0)
    assert turns >= 1000 / 4


async def test_a_key_that_is_given_up_is_processed_once_it_is_added_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    errors: list[Exception] = [OSError("refused"), GivenUpError()]
    passes = 0

    async def work(_: str) -> None:
        nonlocal passes
        passes += 1
        if errors:
            raise errors.pop(0)

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(600)
        assert passes == 2
        queue.add("a")
        await asyncio.sleep(600)
    assert passes == 3
    assert [text.partition(";")[0] for text in caplog.messages] == ["refused"]
