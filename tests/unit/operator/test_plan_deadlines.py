"""Plan table: pendingDeadlineSeconds and activeDeadlineSeconds."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed, PodEvent

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
        "a pod that has its node and does not run for too long fails it",
        b.observed(b.trainingjob(PATIENT), b.job(), b.pod(waiting_reason="ErrImagePull", image="x:1")),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        message=("within 600 s (spec.pendingDeadlineSeconds)", "x:1 can't be pulled"),
        event="Warning",
    ),
    row(
        "a pod that starts for an unknown reason fails it too",
        b.observed(b.trainingjob(PATIENT), b.job(), b.pod()),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        event="Warning",
    ),
    row(
        "an image that is being pulled is progress",
        replace(
            b.observed(b.trainingjob(PATIENT), b.job(), b.pod()), start_event=PodEvent("Pulling", "Pulling image x")
        ),
        phase="Pending",
        reason=c.POD_STARTING,
        message=("pulling an image on node n1",),
        event="Normal",
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
A_DAY_AGO = "2025-12-31T12:00:00Z"
OLD_REJECTION = b.pending_status(c.POD_REJECTED, attempts=[b.attempt("Rejected", "UnexpectedAdmissionError")])
OLD_REJECTION["conditions"] = [OLD_REJECTION["conditions"][0] | {"lastTransitionTime": A_DAY_AGO}]
START_DEADLINE = [
    *(
        row(
            f"a start that fails for a day fails the training ({reason})",
            b.observed(None, b.job(), b.pod(created=A_DAY_AGO, scheduled_at=A_DAY_AGO, waiting_reason=reason)),
            phase="Failed",
            reason=c.PENDING_DEADLINE_EXCEEDED,
            message=("within 86400 s (the operator's setting trainer.startDeadlineSeconds)", reason),
            event="Warning",
        )
        for reason in ("ErrImagePull", "CreateContainerConfigError", "CrashLoopBackOff")
    ),
    row(
        "a wait for capacity may take longer",
        b.observed(None, b.job(), b.pod(created=A_DAY_AGO, node="", unschedulable="0/3 nodes are available.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        event="Warning",
    ),
    row(
        "a scheduling gate may take longer",
        b.observed(None, b.job(), b.pod(created=A_DAY_AGO, node="", not_scheduled="SchedulingGated: by a quota")),
        phase="Pending",
        reason=c.POD_NOT_STARTED,
        event="Warning",
    ),
    row(
        "the wait for a node does not count",
        b.observed(
            None, b.job(), b.pod(created=A_DAY_AGO, scheduled_at="2026-01-01T00:00:00Z", waiting_reason="ErrImagePull")
        ),
        phase="Pending",
        reason=c.IMAGE_PULL_FAILED,
        event="Warning",
        requeue=43_200.0,
    ),
    row(
        "a node that rejects pods for a day fails the training, however young the last one",
        b.observed(b.trainingjob(status=OLD_REJECTION), b.job(), b.pod(created=b.JUST_NOW, scheduled_at=b.JUST_NOW)),
        phase="Failed",
        reason=c.PENDING_DEADLINE_EXCEEDED,
        message=("trainer.startDeadlineSeconds",),
        event="Warning",
    ),
]
TEN_HOURS = {"activeDeadlineSeconds": 36_000}


@pytest.mark.parametrize(("observed", "expected"), PENDING_DEADLINE + START_DEADLINE)
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
