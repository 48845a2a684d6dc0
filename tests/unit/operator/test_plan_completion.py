"""Plan table: success, and that a finished training never runs again."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import Plan

MODEL_AND_METRICS = {"model": b.MODEL, "metrics": [{"name": "mAP50", "value": 0.912345}]}
LIMIT = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
COMPLETE = [
    row(
        "Complete needs the Job's success and the model's report, and emits no Event",
        b.observed(
            b.trainingjob(status=b.running_status(**MODEL_AND_METRICS)), b.job(complete=True, finished_at=b.HOUR_AGO)
        ),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
        message=("https://store/model.tgz", "1,234 bytes", "mAP50 0.9123"),
        conditions={"ModelUploaded": f"True/{c.UPLOAD_VERIFIED}", "Running": f"False/{c.TRAINER_FINISHED}"},
        fields={"completionTime": b.HOUR_AGO, "podName": "cats-0-abcde", "restarts": 0},
        requeue=False,
    ),
    row(
        "a model without the Job's success is not Complete",
        b.observed(
            b.trainingjob(status=b.running_status(**MODEL_AND_METRICS)), b.job(), b.pod(phase="Running", exit_code=0)
        ),
    ),
    row(
        "the model's report may arrive shortly after the Job's success",
        b.observed(None, b.job(complete=True, finished_at="2026-01-01T11:59:30Z")),
        requeue=10.0,
    ),
    row(
        "a training without a reported model fails",
        b.observed(b.trainingjob(status=b.running_status()), b.job(complete=True, finished_at="2026-01-01T11:59:00Z")),
        phase="Failed",
        reason=c.MODEL_NOT_REPORTED,
        message=("status.model", "docs/trainer-contract.md"),
        event="Warning",
    ),
    row(
        "a Job that succeeded and is deleted still succeeded",
        b.observed(
            b.trainingjob(status=b.running_status(**MODEL_AND_METRICS)),
            b.job(complete=True, finished_at=b.HOUR_AGO, deleting=True),
        ),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "the restarts are kept",
        b.observed(
            b.trainingjob(status=b.running_status(restarts=2, **MODEL_AND_METRICS)),
            b.job(complete=True, finished_at=b.HOUR_AGO),
        ),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
        fields={"restarts": 2},
    ),
]


@pytest.mark.parametrize(("observed", "expected"), COMPLETE)
def test_completion(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


@pytest.mark.parametrize(
    "child",
    [None, b.job(complete=True), b.job(**LIMIT), b.job(deleting=True), b.job(owner_uid="another"), b.job(owner_uid="")],
    ids=[
        "no Job",
        "its Job complete",
        "its Job failed",
        "its Job in deletion",
        "an earlier TrainingJob's Job",
        "a foreign Job",
    ],
)
@pytest.mark.parametrize("status", [b.complete_status(), b.failed_status()], ids=["complete", "failed"])
@pytest.mark.parametrize(
    "pods", [(), (b.running_pod(),), (b.pod(phase="Failed", exit_code=1),)], ids=["", "runs", "failed"]
)
def test_a_finished_training_never_runs_again(child: Any, status: dict[str, Any], pods: Any) -> None:
    assert decide(b.observed(b.trainingjob({"suspend": True}, status), child, *pods)) == Plan()


def test_a_condition_that_is_not_true_is_no_end() -> None:
    tj = b.trainingjob(status={"conditions": [b.condition("Failed", "False"), b.condition("Complete", "Unknown")]})
    assert decide(b.observed(tj)).create_job is not None
