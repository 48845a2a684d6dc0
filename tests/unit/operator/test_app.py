"""/healthz, by the state of the operator's tasks; work in namespaces that refuse it."""

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
from vott_operator.api.names import Key
from vott_operator.app import App
from vott_operator.cluster.namespaces import Condition, NamespaceState
from vott_operator.errors import ClusterError
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


# ------------------------------------------------------------------------------------------ namespaces that are refused

KEY = Key("training", "cats")


async def ignore(_: str, __: NamespaceState) -> None:
    pass


@pytest.mark.parametrize(
    ("condition", "worked"),
    [
        (Condition.UNKNOWN, True),
        (Condition.USABLE, True),
        (Condition.TERMINATING, True),
        (Condition.UNAVAILABLE, True),
        (Condition.FORBIDDEN, False),
        (Condition.NOT_FOUND, False),
    ],
)
async def test_nothing_is_tried_in_a_namespace_that_refuses_everything(
    app: App, condition: Condition, worked: bool
) -> None:
    done: list[Key] = []

    async def work(key: Key) -> float:
        done.append(key)
        return 5.0

    await app.namespaces.record("training", condition, "", ignore)
    assert await app._if_accessible(work)(KEY) == (5.0 if worked else None)
    assert done == ([KEY] if worked else [])


@pytest.mark.looptime
@pytest.mark.parametrize(("status", "seconds"), [(403, 0), (404, 0), (500, 60)])
async def test_a_namespace_is_checked_when_a_request_in_it_was_refused(status: int, seconds: float) -> None:
    app = App(settings())

    async def work(_: Key) -> float | None:
        raise ClusterError("refused", status)

    with pytest.raises(ClusterError):
        await app._if_accessible(work)(KEY)
    started = asyncio.get_running_loop().time()
    await app.namespaces.wait_for_check("training", 60)
    assert asyncio.get_running_loop().time() - started == pytest.approx(seconds)
