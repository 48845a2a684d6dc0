"""The table of decisions: several nodes train together or not at all; the operator makes the next Job, and counts."""

from typing import Any

import pytest

from tests.support.observed_state import (
    HOUR_AGO,
    job,
    observed,
    pod,
    running_pod,
    trainingjob,
    was_pending,
    was_running,
)
from tests.unit.operator.expectations import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

TWO = {"trainer": {"nodes": 2}}
RULE = "Container trainer for pod training/cats-1-abcde failed with exit code {} matching FailJob rule at index {}"
DISRUPTED = "Pod training/cats-1-abcde has condition DisruptionTarget matching FailJob rule at index 0"
BAD_LINE = '{"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4."}'
PEER = '{"reason": "PeerLost", "message": "Another node of the training is gone."}'


def failed_pod(name: str = "cats-0-first", code: int | None = 1, **fields: Any) -> Any:
    return pod(name, phase="Failed", exit_code=code, **fields)


def several(
    failed_job: dict[str, Any],
    *pods: Any,
    failures: int = 0,
    limit: int = 3,
    start_time: str = HOUR_AGO,
    **status: Any,
) -> Observed:
    """A Job of two nodes that failed, after so many failures before it."""
    tj = trainingjob(TWO | {"backoffLimit": limit}, was_running(**status))
    return observed(tj, job(failures=failures, failed_pods=2, start_time=start_time, **failed_job), *pods)


def policy(message: str) -> dict[str, Any]:
    return {"failed_reason": "PodFailurePolicy", "failed_message": message}


COUNTED = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
TOGETHER = [
    row(
        "of several nodes one that is evicted makes all begin anew, and does not count",
        several(policy(DISRUPTED), failed_pod("cats-1-first", 143, disruption="EvictionByEvictionAPI"), failures=1),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("Pod cats-1-first was evicted", "does not count"),
        event="Warning",
        delete_job=True,
        fields={"failures": 1, "restarts": 0},
    ),
    row(
        "of several nodes one that somebody stopped is missed by the others, and does not count",
        several(COUNTED, failed_pod("cats-1-first", 143), failed_pod(code=1, termination_message=PEER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("does not count against spec.backoffLimit",),
        event="Warning",
        delete_job=True,
        fields={"failures": 0},
    ),
    row(
        "of several nodes one that is lost with its pod does not count either",
        several(policy(DISRUPTED)),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("deleted or lost",),
        event="Warning",
        delete_job=True,
    ),
    row(
        "of several nodes one that fails makes all begin anew, and counts",
        several(COUNTED, failed_pod("cats-1-first"), failed_pod(code=143)),
        phase="Pending",
        reason=c.RETRYING,
        says=("Attempt 2 of 4", "exit code 1", "cats-1-first"),
        event="Warning",
        delete_job=True,
        fields={"failures": 1},
    ),
    row(
        "of several nodes the one that failed by itself tells why, not the one that missed it",
        several(
            COUNTED,
            failed_pod(code=1, termination_message=PEER, finished_at="2026-01-01T11:58:00Z"),
            failed_pod("cats-1-first", 137, terminated_reason="OOMKilled", finished_at="2026-01-01T11:59:00Z"),
        ),
        phase="Pending",
        reason=c.RETRYING,
        says=("limits.memory",),
        event="Warning",
        delete_job=True,
        fields={"failures": 1},
    ),
    row(
        "of several nodes the next Job is made the later the more there were",
        several(COUNTED, failed_pod("cats-1-first"), restarts=2, start_time="2026-01-01T11:59:50Z"),
        phase="Pending",
        reason=c.RETRYING,
        event="Warning",
        again=30.0,
    ),
    row(
        "the same failure is counted once, though the operator died before it deleted the Job",
        observed(
            trainingjob(TWO, was_pending(c.RETRYING, failures=2)),
            job(failures=1, **COUNTED),
            failed_pod("cats-1-first"),
        ),
        phase="Pending",
        reason=c.RETRYING,
        says=("Attempt 3 of 4",),
        delete_job=True,
        fields={"failures": 2},
    ),
    row(
        "of several nodes a failure above the limit is the end",
        several(COUNTED, failed_pod("cats-1-first"), failures=3, restarts=3),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        says=("exit code 1", "Tried 4 times"),
        event="Warning",
        fields={"failures": 4, "restarts": 3},
    ),
    row(
        "of several nodes a limit of 0 allows no second attempt",
        several(COUNTED, failed_pod("cats-1-first"), limit=0),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        event="Warning",
        fields={"failures": 1, "restarts": 0},
    ),
    row(
        "of several nodes a permanent failure is the end at once",
        several(policy(RULE.format(65, 2)), failed_pod("cats-1-first", 65, termination_message=BAD_LINE)),
        phase="Failed",
        reason="BadAnnotations",
        says=("a.csv line 7",),
        event="Warning",
        fields={"restarts": 0},
    ),
    row(
        "of several nodes a deadline is the end, though its pods were stopped",
        several(
            {"failed_reason": "DeadlineExceeded", "failed_message": "x"},
            failed_pod(code=143, disruption="EvictionByEvictionAPI"),
        ),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        event="Warning",
    ),
    row(
        "of several nodes one that has just failed is the Job's to judge",
        observed(
            trainingjob(TWO, was_running()), job(), running_pod(), pod("cats-1-abcde", phase="Running", exit_code=1)
        ),
    ),
]


@pytest.mark.parametrize(("seen", "expected"), TOGETHER)
def test_several_nodes(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))


def test_the_next_job_of_several_nodes_carries_the_failures_so_far() -> None:
    seen = observed(trainingjob(TWO, was_pending(c.RETRYING, failures=2)), None, failed_pod("cats-1-first"))
    made = decide(seen).create_job
    assert made is not None
    assert made["metadata"]["annotations"] == {c.ANNOTATION_FAILURES: "2"}
