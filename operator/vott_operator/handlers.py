"""kopf's handlers: each stores the object of its event and enqueues the TrainingJob for the reconciler.

They are raw-event handlers, because kopf's own progress bookkeeping costs two writes per object; the WorkQueue retries, delays
and merges instead. They are coroutines, because kopf runs plain functions in threads, and neither the Store nor the WorkQueue
is thread-safe.
"""

import asyncio
import dataclasses
import itertools
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory
from pydantic import ValidationError

from vott_guard.backoff import Backoff
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.app import App
from vott_operator.cluster.rest import PAGE_SIZE
from vott_operator.cluster.store import owner_key

logger = logging.getLogger(__name__)

registry = kopf.OperatorRegistry()
CHILD = {c.LABEL_TRAININGJOB: kopf.PRESENT}
WATCH_BACKOFF = Backoff(first=1.0, longest=30.0)
"""After a watch was refused or could not connect."""
RESTART_BACKOFF = Backoff(first=1.0, longest=15.0)
"""After kopf has ended. Shorter than the liveness probe's patience, because kopf answers it."""
STABLE_SECONDS = 300.0
"""After so long the next end of kopf counts as the first."""


def _app(memo: kopf.Memo) -> App:
    app = memo["app"]
    assert isinstance(app, App)
    return app


@kopf.on.login(registry=registry)
def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Authenticate as the pod's service account, or by the kubeconfig."""
    account = None if os.environ.get("KUBECONFIG") else kopf.login_with_service_account(**kwargs)
    if account is None:
        return kopf.login_with_kubeconfig(**kwargs)
    # This address works without the cluster's DNS.
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return dataclasses.replace(account, server=f"https://{f'[{host}]' if ':' in host else host}:{port}")


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores nothing. Raw-event handlers get no diff, yet kopf would copy each object for it: a tenth of the time of a backlog."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoMemories(ResourceMemories):
    """Remembers no object. Raw-event handlers need no memory of kopf's, which takes 1 KB for each."""

    async def recall(self, raw_body: Any, **kwargs: Any) -> ResourceMemory:
        return await super().recall(raw_body, **kwargs | {"ephemeral": True})


class EndlessRetries:
    """Delays between the attempts of one request of kopf, which would end the operator after the last of them."""

    def __iter__(self) -> Iterator[float]:
        return (WATCH_BACKOFF.seconds(failures) for failures in itertools.count(1))


def _is_no_retry(record: logging.LogRecord) -> bool:
    """Whether a record of kopf is not about an attempt of a watch: Namespaces logs once what is wrong in a namespace."""
    return not record.getMessage().startswith("Request attempt")


async def run(app: App, liveness: str) -> None:
    """Run kopf until the operator is to stop. What ends its watches for another reason restarts them: they list everything again."""
    loop, failures, is_stopped = asyncio.get_running_loop(), 0, False
    while not (is_stopped or app.ended.is_set()):
        started = loop.time()
        try:
            is_stopped = await _run_kopf(app, liveness)
        except Exception as error:
            failures = 1 if loop.time() - started > STABLE_SECONDS else failures + 1
            delay = RESTART_BACKOFF.seconds(failures)
            logger.exception("the watches have ended (%s); starting them again in %.1f s", type(error).__name__, delay)
            _stop_on_signals(app)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await app.ended.wait()


async def _run_kopf(app: App, liveness: str) -> bool:
    """Run kopf until it is stopped, or until TrainingJobs are served if they were not: it never watches what it did not find at its start.

    Returns whether it was stopped.
    """
    _stop_on_signals(app)
    tasks = [] if await app.is_served() else [asyncio.create_task(app.wait_until_served())]
    kopf_run = asyncio.create_task(
        kopf.operator(
            registry=registry,
            memo=kopf.Memo(app=app),
            memories=_NoMemories(),
            namespaces=app.settings.namespaces,
            standalone=True,
            liveness_endpoint=liveness,
            stop_flag=app.ended,
        )
    )
    tasks.append(kopf_run)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if kopf_run.done():
            await kopf_run
        return kopf_run.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop_on_signals(app: App) -> None:
    """Stop on SIGINT and SIGTERM while kopf does not run: it takes them over at its start, and keeps them after its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, app.ended.set)


@kopf.on.startup(registry=registry)
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Configure kopf."""
    settings.posting.enabled = False
    # The process goes on after kopf has ended; kopf would kill it.
    settings.process.ultimate_exiting_timeout = None
    # Group, kinds and namespaces are fixed; scanning for them would need permissions.
    settings.scanning.disabled = True
    settings.queueing.worker_limit = None
    # A worker keeps the last object in memory for so long.
    settings.queueing.idle_timeout = 0.05
    settings.networking.error_backoffs = EndlessRetries()
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.label_selectors["batch", "v1", "jobs"] = c.LABEL_TRAININGJOB
    settings.watching.label_selectors["v1", "pods"] = c.LABEL_TRAININGJOB
    settings.persistence.diffbase_storage = _NoDiffBase()
    logging.getLogger("kopf._cogs.clients.watching").addFilter(_is_no_retry)


@kopf.on.probe(registry=registry)
async def health(memo: kopf.Memo, **_: Any) -> str:
    """Answer /healthz."""
    try:
        return _app(memo).health()
    except RuntimeError as error:
        raise kopf.PermanentError(str(error)) from None  # kopf would retry other errors within the request


@kopf.on.event(c.GROUP, c.VERSION, c.PLURAL, registry=registry)
async def trainingjob_event(event: kopf.RawEvent, memo: kopf.Memo, logger: kopf.Logger, **_: Any) -> None:
    """Store or drop a TrainingJob."""
    metadata = event["object"]["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    if event["type"] == "DELETED":
        _app(memo).store.drop_trainingjob(key, metadata["uid"])
        return
    try:
        _app(memo).observe_trainingjob(TrainingJob.model_validate(event["object"]))
    except ValidationError as error:
        _app(memo).store.put_invalid(key, metadata["resourceVersion"])
        logger.error("ignored, it does not match the schema: %s", error.errors(include_input=False, include_url=False))


@kopf.on.event("batch", "v1", "jobs", labels=CHILD, registry=registry)
async def job_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """Store or drop the Job of a TrainingJob."""
    app, body = _app(memo), event["object"]
    key = owner_key(body)
    if event["type"] == "DELETED":
        app.store.drop_job(key, body["metadata"]["uid"])
    else:
        app.store.put_job(key, body)
    app.enqueue(key)


@kopf.on.event("v1", "pods", labels=CHILD, registry=registry)
async def pod_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """Store or drop a pod of a TrainingJob."""
    app, body = _app(memo), event["object"]
    key = owner_key(body)
    if event["type"] == "DELETED":
        app.store.drop_pod(key, body["metadata"]["name"])
    else:
        app.store.put_pod(key, body)
    app.enqueue(key)
