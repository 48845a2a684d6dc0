"""Plan table: pendingDeadlineSeconds and activeDeadlineSeconds."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

PATIENT = {"pendingDeadlineSeconds": 600}
PENDING_DEADLINE = [
    row(
        "a pod without a node for too long fails the training, with the cause",
        b.observed(
            b.trainingjob(PATIENT), b.job(), b.pod(node="", unschedulable="0/3 nodes: Insufficient nvidia.com/gpu.")
        ),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        message=("within 600 s (spec.pendingDeadlineSeconds)", "Insufficient nvidia.com/gpu"),
        event="Warning",
    ),
    row(
        "a Job without a pod for too long fails it",
        b.observed(b.trainingjob(PATIENT), b.job()),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        message=("has not created a pod yet",),
        event="Warning",
    ),
    row(
        "a pod with a node has no pending deadline",
        b.observed(b.trainingjob(PATIENT), b.job(), b.pod()),
        requeue=300.0,
    ),
    row(
        "after an eviction the pending deadline restarts",
        b.observed(
            b.trainingjob(PATIENT, b.pending_status(c.UNSCHEDULABLE)),
            b.job(),
            b.pod("cats-0-older", phase="Failed", disruption="EvictionByEvictionAPI"),
            b.pod(node="", unschedulable="0/3.", created="2026-01-01T11:51:00Z"),
        ),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        requeue=60.0,
    ),
    row(
        "several nodes: one pod without a node fails the training",
        b.observed(
            b.trainingjob(PATIENT | {"trainer": {"nodes": 2}}),
            b.job(),
            b.running_pod(),
            b.pod("cats-1-abcde", node="", unschedulable="0/1 nodes."),
        ),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        message=("0/1 nodes.",),
        event="Warning",
    ),
    row(
        "its waiting Job is deleted",
        b.observed(
            b.trainingjob(PATIENT, b.failed_status(reason=c.PENDING_DEADLINE_EXCEEDED)), b.job(), b.pod(node="")
        ),
        delete_job=True,
    ),
]
TEN_HOURS = {"activeDeadlineSeconds": 36_000}


@pytest.mark.parametrize(("observed", "expected"), PENDING_DEADLINE)
def test_deadlines(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


def test_the_pass_is_requeued_for_the_pending_deadline() -> None:
    waiting = b.pod(node="", unschedulable="0/1 nodes.", created="2026-01-01T11:59:00Z")
    result = decide(b.observed(b.trainingjob({"pendingDeadlineSeconds": 90}), b.job(), waiting))
    assert result.requeue_seconds == 30


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        ({}, 36_000),
        (b.running_status(), 32_400),
        (b.suspended_status(), 36_000),
        (b.running_status(startTime="2026-01-01T01:00:00Z"), 1),
    ],
    ids=["the first Job", "a later Job", "after a suspension", "at least a second"],
)
def test_a_new_job_gets_the_remaining_time(status: dict[str, Any], seconds: int) -> None:
    created = decide(b.observed(b.trainingjob(TEN_HOURS, status))).create_job
    assert created is not None
    assert created["spec"]["activeDeadlineSeconds"] == seconds
