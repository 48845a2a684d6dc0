"""Plan table: a deleted TrainingJob cancels its training."""

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

TWO = b.CALLBACK | {"trainer": {"nodes": 2}}
LIMIT = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
CANCELLED = {
    "phase": "Failed",
    "reason": c.CANCELLED,
    "message": ("The TrainingJob was deleted before its training ended.",),
    "event": "Normal",
}
ELEVEN_MINUTES_AGO = "2026-01-01T11:49:00Z"
GIVEN_UP = b.condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_GIVEN_UP)
CANCEL = [
    row(
        "a deleted TrainingJob's Job is deleted first; the status waits for its pods",
        b.observed(b.deleted(), b.job(), b.running_pod()),
        delete_job=True,
        requeue=2.0,
    ),
    row(
        "several nodes: the Job is deleted too",
        b.observed(b.deleted(spec=TWO), b.job(), b.running_pod(), b.running_pod("cats-1-abcde")),
        delete_job=True,
    ),
    row(
        "a suspended Job is deleted too",
        b.observed(b.deleted(spec=b.CALLBACK | {"suspend": True}), b.job(suspended=True)),
        delete_job=True,
    ),
    row(
        "a Job that is already deleted is not deleted again",
        b.observed(b.deleted(), b.job(deleting=True), b.running_pod(ends_by=b.SOON)),
        requeue=2.0,
    ),
    row(
        "the pod has its grace period to save a checkpoint",
        b.observed(b.deleted(), None, b.running_pod(ends_by=b.SOON)),
        requeue=2.0,
    ),
    row(
        "the pod's own grace period counts, however long",
        b.observed(b.deleted(at="2026-01-01T11:50:00Z"), None, b.running_pod(ends_by=b.SOON)),
        requeue=2.0,
    ),
    row("it is cancelled once its pods have ended", b.observed(b.deleted(), None, b.pod(phase="Failed")), **CANCELLED),
    row("without a pod it is cancelled at once", b.observed(b.deleted(), None), **CANCELLED),
    row(
        "a pod on a lost node delays it no longer than its grace period and a margin",
        b.observed(b.deleted(at=b.HOUR_AGO), None, b.running_pod(ends_by="2026-01-01T11:01:00Z")),
        **CANCELLED,
    ),
    row(
        "a Job that can't be deleted delays it for ten minutes",
        b.observed(b.deleted(at=ELEVEN_MINUTES_AGO), b.job(), b.running_pod()),
        **CANCELLED,
    ),
    row(
        "so does one that another finalizer holds",
        b.observed(b.deleted(at=ELEVEN_MINUTES_AGO), b.job(deleting=True)),
        **CANCELLED,
    ),
    row(
        "so does a pod without a node that nothing deletes",
        b.observed(b.deleted(at=ELEVEN_MINUTES_AGO), None, b.pod(node="", ends_by=b.HOUR_AGO), b.pod(node="")),
        **CANCELLED,
    ),
    row(
        "a Job that is left does not keep the finalizer either",
        b.observed(b.deleted(b.failed_status(GIVEN_UP, reason=c.CANCELLED), at=ELEVEN_MINUTES_AGO), b.job()),
        finalizer="removed",
    ),
    row(
        "a Job of another owner is not deleted",
        b.observed(b.deleted(), b.job(owner_uid="")),
        **CANCELLED,
    ),
    row(
        "a TrainingJob deleted before its start is cancelled without a Job",
        b.observed(b.deleted(b.pending_status(c.OLD_JOB_REMAINS)), None),
        **CANCELLED,
    ),
    row(
        "without a callback the garbage collector does everything",
        b.observed(b.deleted(None, "other.dev/x", spec=None), None),
    ),
    row(
        "a foreign finalizer does not keep the pods running",
        b.observed(b.deleted(None, "other.dev/x", spec=None), b.job(), b.running_pod()),
        delete_job=True,
    ),
    row(
        "a training that completed before the deletion is complete",
        b.observed(b.deleted(b.running_status(model=b.MODEL)), b.job(complete=True, finished_at=b.HOUR_AGO)),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "a training that failed before the deletion failed",
        b.observed(b.deleted(), b.job(**LIMIT), b.pod(phase="Failed", exit_code=1)),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        event="Warning",
    ),
    row(
        "several nodes: a failure that would be retried does not fail a cancelled training",
        b.observed(b.deleted(spec=TWO), b.job(**LIMIT), b.pod("cats-1-abcde", phase="Failed", exit_code=1)),
        delete_job=True,
    ),
    row(
        "a deleted TrainingJob gets no new Job",
        b.observed(b.deleted(b.pending_status(c.RETRYING), "other.dev/x", spec=None), None),
    ),
]


@pytest.mark.parametrize(("observed", "expected"), CANCEL)
def test_cancel(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))
