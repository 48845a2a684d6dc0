"""Plan table: Jobs and pods of an earlier Job, or of another owner."""

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

OLD_JOBS = [
    row(
        "a deleted Job is created again",
        b.observed(b.trainingjob(status=b.running_status())),
        create_job=True,
    ),
    row(
        "the new Job waits for the old Job's pod, and the status shows it",
        b.observed(b.trainingjob(status=b.running_status()), None, b.running_pod(ends_by=b.SOON)),
        phase="Pending",
        reason=c.OLD_JOB_REMAINS,
        message=("Pod cats-0-abcde of an earlier Job is still ending", "no two train at once"),
        event="",
        requeue=2.0,
    ),
    row(
        "a finished pod delays nothing",
        b.observed(b.trainingjob(status=b.running_status()), None, b.pod(phase="Failed", exit_code=137)),
        create_job=True,
    ),
    row(
        "the reason of a retry stays while the old pods end",
        b.observed(b.trainingjob(status=b.pending_status(c.RETRYING)), None, b.running_pod(ends_by=b.SOON)),
        requeue=2.0,
    ),
    row(
        "a Job in deletion delays the new one",
        b.observed(b.trainingjob(status=b.running_status()), b.job(deleting=True), b.running_pod(ends_by=b.SOON)),
        requeue=2.0,
    ),
    row(
        "a Job of an earlier TrainingJob delays the new one, and the status shows it",
        b.observed(None, b.job(owner_uid="another"), b.running_pod()),
        phase="Pending",
        reason=c.OLD_JOB_REMAINS,
        message=("of an earlier TrainingJob", "Delete it if it stays"),
        requeue=2.0,
    ),
    row(
        "pods of an earlier TrainingJob delay it too",
        b.observed(None, None, b.running_pod(job_uid="earlier", ends_by=b.SOON)),
        phase="Pending",
        reason=c.OLD_JOB_REMAINS,
        requeue=2.0,
    ),
    row(
        "a foreign Job with the name fails the training, with the remedy",
        b.observed(None, b.job(owner_uid="")),
        phase="Failed",
        reason=c.JOB_NAME_TAKEN,
        message=("Job cats", "Delete it, or use another name"),
        event="Warning",
    ),
]


@pytest.mark.parametrize(("observed", "expected"), OLD_JOBS)
def test_old_jobs(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))
