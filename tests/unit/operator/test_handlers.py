"""How kopf is configured and run: its watches never end the operator."""

import asyncio
import itertools
import logging
import os
import signal
from typing import Any, cast

import kopf
import pytest
from kopf._cogs.structs.references import Resource

from tests.support.observed_state import settings
from vott_guard.backoff import Backoff
from vott_operator import handlers, watches
from vott_operator.app import App
from vott_operator.errors import ClusterError

FOREVER = Exception("runs until it is cancelled")
WATCHED = {"batch": "jobs", "": "pods", "vott.dev": "trainingjobs"}


class Kopf:
    """Replaces kopf.operator: raises the errors in turn, and then ends as after a signal. FOREVER runs until it is cancelled."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    async def operator(self, **_: Any) -> None:
        self.runs += 1
        if self.errors and self.errors[0] is FOREVER:
            self.errors.pop(0)
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)


class Cluster:
    """Serves TrainingJobs, or does not; the last answer is repeated."""

    def __init__(self, *answers: bool | ClusterError) -> None:
        self.answers = list(answers)

    async def serves_trainingjobs(self) -> bool:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ClusterError):
            raise answer
        return answer


def app(cluster: Cluster | None = None) -> App:
    app = App(settings())
    app._cluster = cast("Any", cluster or Cluster(True))
    return app


async def configured(app: App) -> kopf.OperatorSettings:
    result = kopf.OperatorSettings()
    await cast("Any", handlers.configure)(settings=result, memo=kopf.Memo(app=app))
    return result


def selectors(configured: kopf.OperatorSettings, group: str) -> list[str]:
    plural = WATCHED[group]
    version = "v1alpha1" if group == "vott.dev" else "v1"
    return configured.watching.label_selectors.collect(Resource(group, version, plural))


@pytest.mark.looptime
async def test_the_retries_of_a_watch_never_end() -> None:
    backoffs = (await configured(app())).networking.error_backoffs
    for _ in range(2):  # each request iterates anew
        delays = list(itertools.islice(iter(cast("Any", backoffs)), 10_000))
        assert len(delays) == 10_000
        assert max(delays) <= handlers.WATCH_BACKOFF.longest
        assert delays[0] <= 1 < delays[20]


@pytest.mark.looptime
async def test_the_api_server_selects_jobs_and_pods_by_their_label() -> None:
    found = await configured(app())
    assert selectors(found, "batch") == selectors(found, "") == ["vott.dev/trainingjob"]
    assert selectors(found, "vott.dev") == []


@pytest.mark.looptime
async def test_kopf_starts_again_once_trainingjobs_are_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(ClusterError("GET apis: the Kubernetes API did not answer"), False, False, True)
    fake = Kopf(FOREVER)
    monkeypatch.setattr(kopf, "operator", fake.operator)
    await watches.run(app(cluster))
    assert fake.runs == 2
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for the API server: GET apis: the Kubernetes API did not answer",
        "waiting for the API server: the API server does not serve TrainingJobs; install the CustomResourceDefinition"
        " (vott-train crd | kubectl apply -f -)",
    ]


@pytest.mark.looptime
async def test_kopf_does_not_kill_the_process_after_it_has_ended() -> None:
    assert (await configured(app())).process.ultimate_exiting_timeout is None


@pytest.mark.looptime
async def test_attempts_of_a_watch_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    await configured(app())
    log = logging.getLogger("kopf._cogs.clients.watching")
    log.error("Request attempt #3 failed; will retry: GET … -> APIForbiddenError")
    log.error("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]


@pytest.mark.looptime
async def test_watches_that_end_with_an_error_are_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = Kopf(*[RuntimeError("a truncated line")] * 20)
    monkeypatch.setattr(kopf, "operator", fake.operator)
    await watches.run(app())
    assert fake.runs == 21
    assert "the watches have ended (RuntimeError); starting them again in" in caplog.text


async def test_a_signal_stops_the_operator_also_before_the_watches_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Kopf(*[RuntimeError("a truncated line")] * 20)
    monkeypatch.setattr(kopf, "operator", fake.operator)
    monkeypatch.setattr(watches, "RESTART_BACKOFF", Backoff(first=600, longest=600))
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(watches.run(app()), 30)
    assert fake.runs == 1


async def test_kopf_keeps_nothing_of_the_objects_that_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    async def operator(memories: Any, **_: Any) -> None:
        await memories.recall({"metadata": {"uid": "a"}}, memobase=kopf.Memo(), noticed_by_listing=True)
        kept.extend(memories.iter_all_memories())

    monkeypatch.setattr(kopf, "operator", operator)
    await watches.run(app())
    assert kept == []
