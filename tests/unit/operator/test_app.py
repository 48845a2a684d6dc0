"""/healthz, by the state of the operator's tasks; /readyz, by its conditions; work in namespaces that refuse it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress

import aiohttp
import pytest

from localcluster.ports import free_ports
from tests.support.observed_state import CALLBACK, complete_status, settings, trainingjob
from vott_operator.api.names import Key
from vott_operator.app import App
from vott_operator.cluster.namespaces import Condition
from vott_operator.errors import ClusterError
from vott_operator.health.conditions import NAMESPACE_WATCHED, QUEUE_REACHABLE, SIGNING_KEYS_USABLE
from vott_operator.health.server import ProbeServer
from vott_operator.workqueue import GivenUpError


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


async def probe(app: App, path: str) -> tuple[int, str]:
    """Status and body of the answer."""
    (port,) = free_ports(1)
    async with (
        ProbeServer(f"127.0.0.1:{port}", app.defect, app.health),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_an_operator_is_healthy_while_its_tasks_run(app: App) -> None:
    assert await probe(app, "healthz") == (200, "ok\n")


async def test_an_operator_is_healthy_after_a_task_has_finished(app: App) -> None:
    app._tasks.append(app._spawn(asyncio.sleep(0), "initial list of training"))
    await end(app._tasks[-1])
    assert (await probe(app, "healthz"))[0] == 200


@pytest.mark.parametrize("name", ["resync", "intake of cats"])
async def test_an_operator_is_unhealthy_after_a_task_has_failed(app: App, name: str) -> None:
    tasks = app._intake_tasks if name.startswith("intake") else app._tasks
    tasks.append(app._spawn(fail(), name))
    await end(tasks[-1])
    assert await probe(app, "healthz") == (503, f"{name} has ended\n")


async def test_an_operator_is_unhealthy_after_it_lost_the_lease(app: App) -> None:
    app._tasks[0].cancel()
    await end(app._tasks[0])
    assert (await probe(app, "healthz"))[0] == 503


async def test_an_operator_whose_only_queue_is_unreachable_is_not_ready_but_healthy(app: App) -> None:
    app.health.report(NAMESPACE_WATCHED, "training", "")
    app.health.report(QUEUE_REACHABLE, "storage://acme/training", "storage://acme/training: no route")
    assert await probe(app, "readyz") == (503, "storage://acme/training: no route\n")
    assert (await probe(app, "healthz"))[0] == 200
    app.health.report(QUEUE_REACHABLE, "storage://acme/training", "")
    assert await probe(app, "readyz") == (200, "ok\n")


async def test_one_of_several_queues_and_namespaces_does_not_make_it_unready(app: App) -> None:
    for number, problem in enumerate(["storage://acme/cats: access denied", "", ""]):
        app.health.report(QUEUE_REACHABLE, str(number), problem)
    app.health.report(NAMESPACE_WATCHED, "team-a", "")
    app.health.report(NAMESPACE_WATCHED, "team-b", "TrainingJobs can't be listed: 403 Forbidden.")
    status, text = await probe(app, "readyz")
    assert status == 200
    assert text.splitlines() == ["storage://acme/cats: access denied", "TrainingJobs can't be listed: 403 Forbidden."]


async def test_an_operator_without_usable_signing_keys_is_not_ready(app: App) -> None:
    app.health.report(QUEUE_REACHABLE, "storage://acme/training", "")
    app.health.report(SIGNING_KEYS_USABLE, "", "No callback is sent until this is fixed: there is no key.")
    assert (await probe(app, "readyz"))[0] == 503


async def test_the_answer_shows_no_credential(app: App) -> None:
    app.health.report(QUEUE_REACHABLE, "storage://acme/training", "https://acme/training?sig=TOPSECRET failed")
    assert "TOPSECRET" not in (await probe(app, "readyz"))[1]


# ------------------------------------------------------------------------------------------ namespaces that are refused

KEY = Key("training", "cats")


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

    app.namespaces.record("training", condition, "")
    with nullcontext() if worked else pytest.raises(GivenUpError):
        assert await app._if_accessible(work)(KEY) == 5.0
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


# ------------------------------------------------------------------------------------------------- leading and standing by


def waiting(app: App) -> list[int]:
    """The lengths of the queues of reconciles and of callback URLs."""
    return [len(queue._waiting) for queue in (app._reconcile_queue, app._url_queue)]


async def test_a_standby_remembers_nothing_that_only_a_leader_does(app: App) -> None:
    for number in range(100):
        item = trainingjob(CALLBACK, metadata={"name": f"cats-{number}", "uid": str(number)})
        app.observe_trainingjob(item)
        app.enqueue(item.key)
        app.drop_trainingjob(item.key, item.metadata.uid)
    assert waiting(app) == [0, 0]


async def test_a_leader_resumes_all_trainingjobs_and_reads_the_urls_of_the_unfinished(app: App) -> None:
    for name, status in (("cats", {}), ("dogs", complete_status())):
        app.observe_trainingjob(trainingjob(CALLBACK, status, {"name": name, "uid": name}))
    app._set_leads(True)
    for key in app.store.keys("training"):
        app.resume(key)
    assert waiting(app) == [2, 1]
