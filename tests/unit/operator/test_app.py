"""/healthz, by the state of the operator's tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import aiohttp
import kopf
import pytest
from kopf._core.engines.probing import health_reporter

from localcluster.ports import free_ports
from tests.support.observed_state import settings
from vott_operator.app import App
from vott_operator.handlers import registry


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """An App with two tasks that run until they are cancelled."""
    app = App(settings())
    app._tasks.append(app._spawn(asyncio.sleep(3600), "reconcile"))
    app._intake_tasks.append(app._spawn(asyncio.sleep(3600), "intake of training"))
    yield app
    tasks = [*app._tasks, *app._intake_tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def fail() -> None:
    raise ValueError("a bug")


async def end(task: asyncio.Task[None]) -> None:
    with suppress(ValueError, asyncio.CancelledError):
        await task


async def healthz(app: App) -> tuple[int, str]:
    """Status and body of /healthz, as kopf's server answers it."""
    (port,) = free_ports(1)
    url, ready = f"http://127.0.0.1:{port}/healthz", asyncio.Event()
    operator_settings = kopf.OperatorSettings()
    memo = cast("Any", kopf.Memo(app=app))
    reporter = health_reporter(
        url, memo=memo, indices=cast("Any", {}), registry=registry, settings=operator_settings, ready_flag=ready
    )
    task = asyncio.create_task(reporter)
    try:
        await asyncio.wait_for(ready.wait(), 30)
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_operator_is_healthy_while_its_tasks_run(app: App) -> None:
    assert app.health() == "ok"
    assert await healthz(app) == (200, '{"health": "ok"}')


async def test_an_operator_is_healthy_after_a_task_has_finished(app: App) -> None:
    app._tasks.append(app._spawn(asyncio.sleep(0), "initial list of training"))
    await end(app._tasks[-1])
    assert (await healthz(app))[0] == 200


@pytest.mark.parametrize("name", ["resync", "intake of cats"])
async def test_an_operator_is_unhealthy_after_a_task_has_failed(app: App, name: str) -> None:
    tasks = app._intake_tasks if name.startswith("intake") else app._tasks
    tasks.append(app._spawn(fail(), name))
    await end(tasks[-1])
    with pytest.raises(RuntimeError, match=f"{name} has ended"):
        app.health()
    assert (await healthz(app))[0] == 500


async def test_an_operator_is_unhealthy_after_it_lost_the_lease(app: App) -> None:
    app._tasks[0].cancel()
    await end(app._tasks[0])
    assert (await healthz(app))[0] == 500
