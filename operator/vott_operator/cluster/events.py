"""core/v1 Events: those that the operator records about TrainingJobs and namespaces, and those that explain a missing or slow pod."""

import logging
import os
import socket
import time
from datetime import datetime
from typing import Any

from vott_guard.log_format import fields
from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.decisions.observed import PodEvent
from vott_operator.decisions.pod_events import start_event
from vott_operator.decisions.transition_events import Event
from vott_operator.errors import ClusterError

logger = logging.getLogger(__name__)

TERMINATING = "because it is being terminated"
"""In the API server's answer: nothing can be created in a namespace that is being deleted."""
MAX_MESSAGE_LENGTH = 1024
"""As events.k8s.io/v1 limits an Event's note."""


async def record_event(cluster: Cluster, trainingjob: TrainingJob, event: Event, now: datetime) -> None:
    """Record an Event about a TrainingJob, once. A failure is only logged, because nothing depends on Events."""
    try:
        await cluster.create_event(_trainingjob_event(trainingjob, event, now))
    except ClusterError as error:
        level = logging.DEBUG if TERMINATING in error.answer else logging.WARNING
        extra = fields(trainingJob=trainingjob.key, reason=event.reason)
        logger.log(level, "Event not recorded: %s", error, extra=extra)


async def record_pod_event(cluster: Cluster, namespace: str, event: Event, now: datetime) -> None:
    """Record an Event about the operator's own pod. A failure is only logged."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": os.environ.get("POD_NAME") or socket.gethostname().lower(),
        "namespace": namespace,
        "uid": os.environ.get("POD_UID", ""),
    }
    name = f"{pod['name']}.{time.time_ns():x}"  # as client-go names Events
    try:
        await cluster.create_event(_manifest(name, pod, event, now))
    except ClusterError as error:
        logger.warning("Event not recorded: %s", error, extra=fields(reason=event.reason))


async def pod_creation_error(cluster: Cluster, namespace: str, job_uid: str, since: datetime) -> str:
    """Message of the newest Event since then about the Job's failure to create a pod; empty if there is none."""
    selector = f"involvedObject.uid={job_uid},reason=FailedCreate"
    events = [event async for event in cluster.list_events(namespace, selector)]
    newest = max(events, key=lambda event: str(event.get("lastTimestamp") or ""), default={})
    return str(newest.get("message") or "") if parse_timestamp(newest.get("lastTimestamp"), since) >= since else ""


async def pod_start_event(cluster: Cluster, namespace: str, pod_uid: str) -> PodEvent | None:
    """The newest Event that tells what a pod waits for; None if there is none."""
    return start_event([event async for event in cluster.list_events(namespace, f"involvedObject.uid={pod_uid}")])


def _trainingjob_event(trainingjob: TrainingJob, event: Event, now: datetime) -> dict[str, Any]:
    metadata = trainingjob.metadata
    about = {
        "apiVersion": c.API_VERSION,
        "kind": c.KIND,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
    }
    return _manifest(names.event(metadata.uid, event.reason, event.message), about, event, now)


def _manifest(name: str, about: dict[str, str], event: Event, now: datetime) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": about["namespace"]},
        "involvedObject": about,
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:MAX_MESSAGE_LENGTH],
        "source": {"component": c.FIELD_MANAGER},
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
    }
