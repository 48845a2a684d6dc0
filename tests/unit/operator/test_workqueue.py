"""The work queue of the reconciler."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from vott_operator.workqueue import WorkQueue


@asynccontextmanager
async def running(work: Callable[[str], Awaitable[float | None]]) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue(work, workers=4)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_key_that_waits_is_worked_on_once() -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    async with running(work) as queue:
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        await asyncio.sleep(0.05)
    assert sorted(seen) == ["a", "b"]


async def test_a_key_is_never_worked_on_twice_at_once_and_no_trigger_is_lost() -> None:
    active, most, passes = 0, 0, 0

    async def work(_: str) -> None:
        nonlocal active, most, passes
        active, passes = active + 1, passes + 1
        most = max(most, active)
        await asyncio.sleep(0.01)
        active -= 1

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(0.005)
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(0.1)
    assert (most, passes) == (1, 2)


async def test_a_failure_is_tried_again_and_does_not_stop_others(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)
        if seen.count("bad") == 1 and key == "bad":
            raise OSError("no network")

    async with running(work) as queue:
        queue.add("bad")
        queue.add("good")
        await asyncio.sleep(0.5)
    assert sorted(seen) == ["bad", "bad", "good"]
    assert "no network" in caplog.text


async def test_a_wanted_delay_is_kept_and_a_trigger_comes_first() -> None:
    passes = asyncio.Queue[int]()

    async def work(_: str) -> float | None:
        passes.put_nowait(1)
        return 60.0 if passes.qsize() == 1 else None

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(0.05)
        assert passes.qsize() == 1
        queue.add("a")
        await asyncio.sleep(0.05)
    assert passes.qsize() == 2
