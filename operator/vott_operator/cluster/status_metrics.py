"""Counts what a change of a TrainingJob's status means in the metrics."""

from datetime import datetime

from vott_operator import metrics
from vott_operator.api import constants as c
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob

CAUSES = {c.RETRYING: "failure", c.INTERRUPTED: "interruption", c.NODE_LOST: "interruption"}
"""Why a training starts again, by its reason."""


def count_change(before: TrainingJob, after: TrainingJob, now: datetime) -> None:
    """Count an end, a restart, or the end of the first wait."""
    namespace, status = after.metadata.namespace, after.status
    if after.finished and not before.finished:
        metrics.TRAININGJOBS_FINISHED.labels(namespace, _outcome(after)).inc()
        return
    cause = CAUSES.get(status.reason or "")
    if cause is not None and cause != CAUSES.get(before.status.reason or ""):
        metrics.TRAININGJOB_RESTARTS.labels(namespace, cause).inc()
    if status.phase == c.RUNNING and before.status.pod_name is None:
        created = parse_timestamp(after.metadata.creation_timestamp, now)
        metrics.TRAININGJOB_WAIT.labels(namespace).observe(max(0.0, (now - created).total_seconds()))


def _outcome(trainingjob: TrainingJob) -> str:
    if not trainingjob.failed:
        return "succeeded"
    return "cancelled" if trainingjob.status.reason == c.CANCELLED else "failed"
