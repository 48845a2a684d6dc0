"""The table of decisions: how a training ends, and what is left to do after its end."""

from typing import Any

import pytest

from tests.support.observed_state import (
    HOUR_AGO,
    MODEL,
    condition,
    job,
    observed,
    pod,
    running_pod,
    trainingjob,
    was_complete,
    was_failed,
    was_pending,
    was_running,
)
from tests.unit.operator.expectations import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import Plan

MODEL_AND_METRICS = {"model": MODEL, "metrics": [{"name": "mAP50", "value": 0.912345}]}
BAD_LINE = '{"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4."}'
PATIENT = {"pendingDeadlineSeconds": 600}
LIMIT = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
POLICY = {"failed_reason": "PodFailurePolicy", "failed_message": "Container trainer failed with exit code 65"}

COMPLETE = [
    row(
        "complete needs the Job's success and the model's report, and is no Event",
        observed(trainingjob(status=was_running(**MODEL_AND_METRICS)), job(complete=True, finished_at=HOUR_AGO)),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
        says=("https://store/model.tgz", "1,234 bytes", "mAP50 0.9123"),
        conditions={"ModelUploaded": f"True/{c.UPLOAD_VERIFIED}", "Running": f"False/{c.TRAINER_FINISHED}"},
        fields={"completionTime": HOUR_AGO, "podName": "cats-0-abcde", "restarts": 0},
        again=False,
    ),
    row(
        "a model without the Job's success is not complete",
        observed(trainingjob(status=was_running(**MODEL_AND_METRICS)), job(), pod(phase="Running", exit_code=0)),
    ),
    row(
        "the model's report may come a little after the Job's success",
        observed(None, job(complete=True, finished_at="2026-01-01T11:59:30Z")),
        again=10.0,
    ),
    row(
        "a Job that never reports a model failed",
        observed(trainingjob(status=was_running()), job(complete=True, finished_at="2026-01-01T11:58:59Z")),
        phase="Failed",
        reason=c.MODEL_NOT_REPORTED,
        says=("status.model", "docs/trainer-contract.md"),
        event="Warning",
    ),
    row(
        "a Job that succeeded and is deleted in the same moment succeeded",
        observed(
            trainingjob(status=was_running(**MODEL_AND_METRICS)),
            job(complete=True, finished_at=HOUR_AGO, deleting=True),
        ),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "after restarts it says how many there were",
        observed(
            trainingjob(status=was_running(restarts=2, **MODEL_AND_METRICS)), job(complete=True, finished_at=HOUR_AGO)
        ),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
        fields={"restarts": 2},
    ),
]


def failing(child: dict[str, Any], *pods: dict[str, Any], **status: Any) -> Observed:
    """A Job that failed for good, and its failed pods."""
    failed = [
        pod(f"cats-0-{number}", **{"phase": "Failed", "created": f"2026-01-01T11:0{number}:00Z"} | fields)
        for number, fields in enumerate(pods)
    ]
    return observed(trainingjob(status=was_running(**status)), job(**child), *failed)


FAILED = [
    row(
        "a permanent failure is told in the trainer's own words",
        failing(POLICY | {"failed_pods": 1}, {"exit_code": 65, "termination_message": BAD_LINE}),
        phase="Failed",
        reason="BadAnnotations",
        says=("a.csv line 7: expected 6 fields, found 4.",),
        conditions={"Running": f"False/{c.TRAINER_FINISHED}"},
        fields={"restarts": 0},
        event="Warning",
    ),
    row(
        "more memory than its limit is told with the remedy",
        failing(LIMIT, {"exit_code": 137, "terminated_reason": "OOMKilled"}),
        phase="Failed",
        reason=c.OOM_KILLED,
        says=("spec.trainer.resources.limits.memory", "batchSize"),
        event="Warning",
    ),
    row(
        "a trainer without words of its own is found in the log",
        failing(LIMIT, {"exit_code": 1}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        says=("exit code 1", "kubectl logs -n training cats-0-0"),
        event="Warning",
    ),
    row(
        "how often it was tried is told",
        failing(LIMIT | {"failed_pods": 4}, {"exit_code": 1}, restarts=3),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        says=("Tried 4 times (spec.backoffLimit)",),
        fields={"restarts": 3},
        event="Warning",
    ),
    row(
        "failures that nobody saw are restarts, but for the last",
        failing(LIMIT | {"failed_pods": 4}, {"exit_code": 1}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        fields={"restarts": 3},
        event="Warning",
    ),
    row(
        "an eviction is told with what the node said",
        failing(LIMIT, {"reason": "Evicted", "message": "Disk full."}),
        phase="Failed",
        reason=c.EVICTED,
        says=("Disk full.", "trainer.workVolume"),
        event="Warning",
    ),
    row(
        "a pod that its node refused is told with the node's reason",
        failing(
            LIMIT, {"reason": "OutOfnvidia.com/gpu", "message": "Node didn't have enough resource.", "node": "gpu7"}
        ),
        phase="Failed",
        reason=c.POD_REJECTED,
        says=("Node gpu7 rejected the pod", "OutOfnvidia.com/gpu"),
        event="Warning",
    ),
    row(
        "its own deadline is told",
        failing({"failed_reason": "DeadlineExceeded"}, {"exit_code": 143}),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        says=("spec.activeDeadlineSeconds", "lower the number of epochs"),
        event="Warning",
    ),
    row(
        "the youngest pod that failed by itself explains",
        failing(LIMIT, {"terminated_reason": "OOMKilled"}, {"exit_code": 3}, {"exit_code": 143}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        says=("exit code 3",),
        event="Warning",
    ),
    row(
        "without pods the Job's own words have to do",
        failing(LIMIT),
        phase="Failed",
        reason=c.BACKOFF_LIMIT_EXCEEDED,
        says=("has reached the specified backoff limit", "kubectl describe job -n training cats"),
        event="Warning",
    ),
    *(
        row(
            f"words that are none are not repeated ({text[:20]})",
            failing(LIMIT, {"exit_code": 64, "termination_message": text}),
            phase="Failed",
            reason=c.TRAINER_FAILED,
            says=("exit code 64",),
            event="Warning",
        )
        for text in ("not JSON", "[]", '{"reason": "no word", "message": "m"}', '{"reason": "Word"}', "[" * 3000)
    ),
]

PENDING_TOO_LONG = [
    row(
        "a pod that got no node in its time ends it, with the cause",
        observed(trainingjob(PATIENT), job(), pod(node="", unschedulable="0/3 nodes: Insufficient nvidia.com/gpu.")),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        says=("within 600 s (spec.pendingDeadlineSeconds)", "Insufficient nvidia.com/gpu"),
        event="Warning",
    ),
    row(
        "a Job that got no pod in that time ends it",
        observed(trainingjob(PATIENT), job()),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        says=("has not created a pod yet",),
        event="Warning",
    ),
    row(
        "a pod on a node has its time, however long it starts",
        observed(trainingjob(PATIENT), job(), pod()),
        again=300.0,
    ),
    row(
        "one that waits anew after an eviction has the whole time again",
        observed(
            trainingjob(PATIENT, was_pending(c.UNSCHEDULABLE)),
            job(),
            pod("cats-0-older", phase="Failed", disruption="EvictionByEvictionAPI"),
            pod(node="", unschedulable="0/3.", created="2026-01-01T11:51:00Z"),
        ),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        again=60.0,
    ),
    row(
        "of several nodes one without a node ends all",
        observed(
            trainingjob(PATIENT | {"trainer": {"nodes": 2}}),
            job(),
            running_pod(),
            pod("cats-1-abcde", node="", unschedulable="0/1 nodes."),
        ),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        says=("0/1 nodes.",),
        event="Warning",
    ),
    row(
        "its Job, which still waits, goes with it",
        observed(trainingjob(PATIENT, was_failed(reason=c.PENDING_DEADLINE_EXCEEDED)), job(), pod(node="")),
        delete_job=True,
    ),
]


@pytest.mark.parametrize(("seen", "expected"), COMPLETE + FAILED + PENDING_TOO_LONG)
def test_ends(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))


@pytest.mark.parametrize(
    "child",
    [None, job(complete=True), job(**LIMIT), job(deleting=True), job(owner_uid="another"), job(owner_uid="")],
    ids=["no Job", "its Job complete", "its Job failed", "its Job going", "another's Job", "nobody's Job"],
)
@pytest.mark.parametrize("status", [was_complete(), was_failed()], ids=["complete", "failed"])
@pytest.mark.parametrize(
    "pods", [(), (running_pod(),), (pod(phase="Failed", exit_code=1),)], ids=["", "runs", "failed"]
)
def test_an_end_is_never_left(child: Any, status: dict[str, Any], pods: Any) -> None:
    assert decide(observed(trainingjob({"suspend": True}, status), child, *pods)) == Plan()


def test_a_condition_that_is_no_longer_true_is_no_end() -> None:
    tj = trainingjob(status={"conditions": [condition("Failed", "False"), condition("Complete", "Unknown")]})
    assert decide(observed(tj)).create_job is not None
