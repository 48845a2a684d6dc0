"""kopf's decorators, and nothing else: each handler notes what it saw and triggers the reconciler.

They are raw-event handlers: kopf's own progress bookkeeping would cost two writes an object, and retries, delays and
merging of events are the WorkQueue's. They are coroutines because kopf runs plain functions in threads, where neither the
Store nor the WorkQueue may be touched.
"""

import dataclasses
import os
from typing import Any

import kopf
from pydantic import ValidationError

from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.app import App
from vott_operator.cluster.client import PAGE
from vott_operator.cluster.store import owner_key

registry = kopf.OperatorRegistry()
CHILD = {c.LABEL_TRAININGJOB: kopf.PRESENT}


def _app(memo: kopf.Memo) -> App:
    app = memo["app"]
    assert isinstance(app, App)
    return app


@kopf.on.login(registry=registry)
def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """As the pod's service account, else as the kubeconfig says."""
    account = None if os.environ.get("KUBECONFIG") else kopf.login_with_service_account(**kwargs)
    if account is None:
        return kopf.login_with_kubeconfig(**kwargs)
    # The address that the kubelet gives works also while the cluster's DNS does not.
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return dataclasses.replace(account, server=f"https://{f'[{host}]' if ':' in host else host}:{port}")


class _NothingToCompare(kopf.DiffBaseStorage):
    """Raw-event handlers get no differences, but kopf would copy each object for them: a tenth of the time of a backlog."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return None


@kopf.on.startup(registry=registry)
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Tune kopf."""
    settings.posting.enabled = False
    # Group, namespace and kinds are fixed, so kopf need not look for them, nor be permitted to.
    settings.scanning.disabled = True
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.5
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = PAGE
    settings.persistence.diffbase_storage = _NothingToCompare()


@kopf.on.probe(registry=registry)
async def health(memo: kopf.Memo, **_: Any) -> str:
    """A part of /healthz."""
    try:
        return _app(memo).health()
    except RuntimeError as error:
        raise kopf.PermanentError(str(error)) from None  # anything else would be tried again, within the request


@kopf.on.event(c.GROUP, c.VERSION, c.PLURAL, registry=registry)
async def trainingjob_event(event: kopf.RawEvent, memo: kopf.Memo, logger: kopf.Logger, **_: Any) -> None:
    """A TrainingJob was seen, changed or deleted."""
    metadata = event["object"]["metadata"]
    if event["type"] == "DELETED":
        _app(memo).store.drop_trainingjob(Key(metadata["namespace"], metadata["name"]), metadata["uid"])
        return
    try:
        _app(memo).noticed(TrainingJob.model_validate(event["object"]))
    except ValidationError as error:
        logger.error("can't be read and is left alone: %s", error.errors(include_input=False, include_url=False))


@kopf.on.event("batch", "v1", "jobs", labels=CHILD, registry=registry)
async def job_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A Job of ours was seen, changed or deleted."""
    app, body = _app(memo), event["object"]
    key = owner_key(body)
    if event["type"] == "DELETED":
        app.store.drop_job(key, body["metadata"]["uid"])
    else:
        app.store.put_job(key, body)
    app.trigger(key)


@kopf.on.event("v1", "pods", labels=CHILD, registry=registry)
async def pod_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A pod of ours was seen, changed or deleted."""
    app, body = _app(memo), event["object"]
    key = owner_key(body)
    if event["type"] == "DELETED":
        app.store.drop_pod(key, body["metadata"]["name"])
    else:
        app.store.put_pod(key, body)
    app.trigger(key)
