"""Plan table: several nodes run together; the operator replaces the whole Job and counts its failures."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

TWO = {"trainer": {"nodes": 2}}
RULE = "Container trainer for pod training/cats-1-abcde failed with exit code {} matching FailJob rule at index {}"
DISRUPTED = "Pod training/cats-1-abcde has condition DisruptionTarget matching FailJob rule at index 0"
BAD_LINE = '{"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4."}'
PEER = '{"reason": "PeerLost", "message": "Another node of the training is gone."}'


def several(
    failed_job: dict[str, Any],
    *pods: Any,
    failures: int = 0,
    limit: int = 3,
    start_time: str = b.HOUR_AGO,
    **status: Any,
) -> Observed:
    """A failed Job of two nodes, after `failures` earlier ones."""
    tj = b.trainingjob(TWO | {"backoffLimit": limit}, b.running_status(**status))
    return b.observed(tj, b.job(failures=failures, failed_pods=2, start_time=start_time, **failed_job), *pods)


def policy(message: str) -> dict[str, Any]:
    return {"failed_reason": "PodFailurePolicy", "failed_message": message}


COUNTED = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
TOGETHER = [
    row(
        "an evicted pod restarts all, and does not count",
        several(policy(DISRUPTED), b.failed_pod("cats-1-first", 143, disruption="EvictionByEvictionAPI"), failures=1),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("Pod cats-1-first was evicted", "does not count"),
        event="Warning",
        delete_job=True,
        fields={"failures": 1, "restarts": 0},
    ),
    row(
        "a stopped pod that the others miss does not count",
        several(COUNTED, b.failed_pod("cats-1-first", 143), b.failed_pod(code=1, termination_message=PEER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("does not count against spec.backoffLimit",),
        event="Warning",
        delete_job=True,
        fields={"failures": 0},
    ),
    row(
        "a lost node whose pod is gone does not count",
        several(policy(DISRUPTED)),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("deleted or lost",),
        event="Warning",
        delete_job=True,
    ),
    row(
        "a failed pod restarts all, and counts",
        several(COUNTED, b.failed_pod("cats-1-first"), b.failed_pod(code=143)),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 2 of 4", "exit code 1", "cats-1-first"),
        event="Warning",
        delete_job=True,
        fields={"failures": 1},
    ),
    row(
        "the pod that failed by itself explains the failure, not the one that lost its peer",
        several(
            COUNTED,
            b.failed_pod(code=1, termination_message=PEER, finished_at="2026-01-01T11:58:00Z"),
            b.failed_pod("cats-1-first", 137, terminated_reason="OOMKilled", finished_at="2026-01-01T11:59:00Z"),
        ),
        phase="Pending",
        reason=c.RETRYING,
        message=("limits.memory",),
        event="Warning",
        delete_job=True,
        fields={"failures": 1},
    ),
    row(
        "the backoff before the next Job grows with each restart",
        several(COUNTED, b.failed_pod("cats-1-first"), restarts=2, start_time="2026-01-01T11:59:50Z"),
        phase="Pending",
        reason=c.RETRYING,
        event="Warning",
        requeue=30.0,
    ),
    row(
        "a failure is counted once, even if the operator was killed before it deleted the Job",
        b.observed(
            b.trainingjob(TWO, b.pending_status(c.RETRYING, failures=2)),
            b.job(failures=1, **COUNTED),
            b.failed_pod("cats-1-first"),
        ),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 3 of 4",),
        delete_job=True,
        fields={"failures": 2},
    ),
    row(
        "backoffLimit allows as many retries as it says",
        several(COUNTED, b.failed_pod("cats-1-first"), failures=2, restarts=2),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 4 of 4",),
        event="Warning",
        delete_job=True,
        fields={"failures": 3},
    ),
    row(
        "a failure above backoffLimit is final",
        several(COUNTED, b.failed_pod("cats-1-first"), failures=3, restarts=3),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        message=("exit code 1", "Tried 4 times"),
        event="Warning",
        fields={"failures": 4, "restarts": 3},
    ),
    row(
        "backoffLimit 0 allows no second attempt",
        several(COUNTED, b.failed_pod("cats-1-first"), limit=0),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        event="Warning",
        fields={"failures": 1, "restarts": 0},
    ),
    row(
        "a permanent failure is final at once",
        several(policy(RULE.format(65, 2)), b.failed_pod("cats-1-first", 65, termination_message=BAD_LINE)),
        phase="Failed",
        reason="BadAnnotations",
        message=("a.csv line 7",),
        event="Warning",
        fields={"restarts": 0},
    ),
    row(
        "an exceeded deadline is final, although its pods were stopped",
        several(
            {"failed_reason": "DeadlineExceeded", "failed_message": "x"},
            b.failed_pod(code=143, disruption="EvictionByEvictionAPI"),
        ),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        event="Warning",
    ),
    row(
        "a lost node shows while the other pod still runs",
        b.observed(
            b.trainingjob(TWO, b.running_status()),
            b.job(),
            b.running_pod(),
            b.running_pod("cats-1-abcde", ends_by=b.HOUR_AGO),
        ),
        phase="Pending",
        reason=c.NODE_LOST,
        message=("1 of 2 pods run", "node n1"),
        event="Warning",
    ),
    row(
        "a container that has just failed changes nothing before the Job does",
        b.observed(
            b.trainingjob(TWO, b.running_status()),
            b.job(),
            b.running_pod(),
            b.pod("cats-1-abcde", phase="Running", exit_code=1),
        ),
    ),
]


@pytest.mark.parametrize(("observed", "expected"), TOGETHER)
def test_several_nodes(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


def test_the_next_job_has_the_failures_so_far() -> None:
    observed = b.observed(
        b.trainingjob(TWO, b.pending_status(c.RETRYING, failures=2)), None, b.failed_pod("cats-1-first")
    )
    created = decide(observed).create_job
    assert created is not None
    assert created["metadata"]["annotations"] == {c.ANNOTATION_FAILURES: "2"}
