"""kopf's handlers: each stores the object of its event and enqueues the TrainingJob for the reconciler.

They are raw-event handlers, because kopf's own progress bookkeeping costs two writes per object; the WorkQueue retries, delays
and merges instead. They are coroutines, because kopf runs plain functions in threads, and neither the Store nor the WorkQueue
is thread-safe.
"""

import dataclasses
import itertools
import logging
import os
from collections.abc import Iterator
from typing import Any

import kopf
from pydantic import ValidationError

from vott_guard.backoff import Backoff
from vott_guard.log_format import fields
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


class EndlessRetries:
    """Delays between the attempts of one request of kopf, which would end the operator after the last of them."""

    def __iter__(self) -> Iterator[float]:
        return (WATCH_BACKOFF.seconds(failures) for failures in itertools.count(1))


def _is_no_retry(record: logging.LogRecord) -> bool:
    """Whether a record of kopf is not about an attempt of a watch: Namespaces logs once what is wrong in a namespace."""
    return not record.getMessage().startswith("Request attempt")


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


@kopf.on.event(c.GROUP, c.VERSION, c.PLURAL, registry=registry)
async def trainingjob_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """Store or drop a TrainingJob."""
    metadata = event["object"]["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    if event["type"] == "DELETED":
        _app(memo).drop_trainingjob(key, metadata["uid"])
        return
    try:
        _app(memo).observe_trainingjob(TrainingJob.model_validate(event["object"]))
    except ValidationError as error:
        _app(memo).store.put_invalid(key, metadata["resourceVersion"])
        text = error.errors(include_input=False, include_url=False)
        logger.error("ignored, it does not match the schema: %s", text, extra=fields(trainingJob=key))


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
