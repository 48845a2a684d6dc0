"""What the parts of the operator tell each other, and what /healthz says of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import kopf
import pytest
from kopf._core.engines.probing import health_reporter

from localcluster.ports import free_ports
from tests.unit.operator.builders import condition, settings, trainingjob
from vott_operator.api import constants as c
from vott_operator.api.times import timestamp
from vott_operator.app import App
from vott_operator.handlers import registry

QUEUE = "storage://account/training"
FAILED: dict[str, Any] = {"phase": "Failed", "conditions": [condition("Failed")]}
COMPLETE: dict[str, Any] = {"phase": "Complete", "conditions": [condition("Complete")]}


# ------------------------------------------------------------------------------------------------------------ /healthz


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """One with two parts that run until they are cancelled."""
    app = App(settings())
    app._tasks.append(app._spawn(asyncio.sleep(3600), "reconcile"))
    app._intake_tasks.append(app._spawn(asyncio.sleep(3600), "intake of training"))
    yield app
    tasks = [*app._tasks, *app._intake_tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def fail() -> None:
    raise ValueError("a fault of ours")


async def end(task: asyncio.Task[None]) -> None:
    with suppress(ValueError, asyncio.CancelledError):
        await task


async def healthz(app: App) -> tuple[int, str]:
    """Status and body, of kopf's own server."""
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


async def test_an_operator_whose_parts_run_is_well(app: App) -> None:
    assert app.health() == "ok"
    assert await healthz(app) == (200, '{"health": "ok"}')


async def test_a_part_that_came_to_its_end_is_no_illness(app: App) -> None:
    app._tasks.append(app._spawn(asyncio.sleep(0), "learn training"))
    await end(app._tasks[-1])
    assert (await healthz(app))[0] == 200


@pytest.mark.parametrize("part", ["resync", "intake of cats"])
async def test_an_operator_that_has_lost_a_part_is_not_well(app: App, part: str) -> None:
    tasks = app._intake_tasks if part.startswith("intake") else app._tasks
    tasks.append(app._spawn(fail(), part))
    await end(tasks[-1])
    with pytest.raises(RuntimeError, match=f"{part} has ended"):
        app.health()
    assert (await healthz(app))[0] == 500


async def test_an_operator_without_its_leaders_parts_is_not_well(app: App) -> None:
    app._tasks[0].cancel()  # as after a lost Lease
    await end(app._tasks[0])
    assert (await healthz(app))[0] == 500


# ---------------------------------------------------------------------------------------------------------- duplicates


def brought(by: str, status: dict[str, Any], **metadata: str) -> App:
    """An operator that knows a TrainingJob which that message brought a minute ago."""
    annotations = {c.ANNOTATION_QUEUE: QUEUE, c.ANNOTATION_DIGEST: "d1", c.ANNOTATION_MESSAGE_ID: by}
    created = timestamp(datetime.now(UTC) - timedelta(minutes=1))
    about = {"annotations": annotations, "creationTimestamp": created} | metadata
    app = App(settings())
    app.store.put_trainingjob(trainingjob({"callback": {"url": "https://h/s"}}, status, about))
    return app


@pytest.mark.parametrize("status", [{}, {"phase": "Running"}, COMPLETE], ids=["new", "running", "complete"])
def test_another_message_of_the_same_content_is_a_duplicate_for_so_long(status: dict[str, Any]) -> None:
    app = brought("1", status)
    assert app.twin(QUEUE, "d1", "2", 600) is not None
    assert app.twin(QUEUE, "d1", "2", 30) is None
    assert app.twin(QUEUE, "d2", "2", 600) is None


def test_a_message_is_not_its_own_duplicate() -> None:
    assert brought("1", {}).twin(QUEUE, "d1", "1", 600) is None


def test_a_training_that_failed_may_be_tried_again() -> None:
    assert brought("1", FAILED).twin(QUEUE, "d1", "2", 600) is None


@pytest.mark.parametrize("status", [{}, {"phase": "Running"}, COMPLETE], ids=["new", "running", "complete"])
def test_a_training_that_was_deleted_may_be_tried_again_while_it_still_ends(status: dict[str, Any]) -> None:
    deleted = timestamp(datetime.now(UTC))
    assert brought("1", status, deletionTimestamp=deleted).twin(QUEUE, "d1", "2", 600) is None
