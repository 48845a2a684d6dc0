"""kopf's handlers: each stores the object of its event and enqueues the TrainingJob for the reconciler.

They are raw-event handlers, because kopf's own progress bookkeeping costs two writes per object; the WorkQueue retries, delays
and merges instead. They are coroutines, because kopf runs plain functions in threads, and neither the Store nor the WorkQueue
is thread-safe.
"""

import dataclasses
import logging
import os
from typing import Any

import kopf
from pydantic import ValidationError

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


@kopf.on.startup(registry=registry)
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Configure kopf."""
    settings.posting.enabled = False
    # Group, kinds and namespaces are fixed; scanning for them would need permissions.
    settings.scanning.disabled = True
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.5
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = PAGE_SIZE
    settings.persistence.diffbase_storage = _NoDiffBase()


@kopf.on.event(c.GROUP, c.VERSION, c.PLURAL, registry=registry)
async def trainingjob_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """Store or drop a TrainingJob."""
    metadata = event["object"]["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    if event["type"] == "DELETED":
        _app(memo).store.drop_trainingjob(key, metadata["uid"])
        return
    try:
        _app(memo).observe_trainingjob(TrainingJob.model_validate(event["object"]))
    except ValidationError as error:
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
