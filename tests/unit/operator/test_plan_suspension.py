"""Plan table: suspend and resume, by spec.suspend and by Kueue."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

SUSPENDED_SPEC = {"suspend": True}
QUEUED = {"labels": {c.KUEUE_QUEUE_LABEL: "team-a"}}
RESUMED_AT = "2026-01-01T11:59:58Z"
YOUNG = "2026-01-01T11:59:50Z"
SUSPENSION = [
    row(
        "spec.suspend suspends the Job",
        b.observed(b.trainingjob(SUSPENDED_SPEC, b.running_status()), b.job(), b.running_pod()),
        suspend_job=True,
    ),
    row(
        "a suspended Job shows as Suspended while its pods end",
        b.observed(
            b.trainingjob(SUSPENDED_SPEC, b.running_status()), b.job(suspended=True), b.running_pod(ends_by=b.SOON)
        ),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        message=("it resumes when spec.suspend is false",),
        conditions={"Running": f"False/{c.JOB_SUSPENDED}"},
        fields={"podName": "", "restarts": 0},
        event="Normal",
    ),
    row(
        "an unchanged suspension is not written again",
        b.observed(b.trainingjob(SUSPENDED_SPEC, b.suspended_status()), b.job(suspended=True)),
    ),
    row(
        "clearing spec.suspend resumes the Job, without a write before",
        b.observed(b.trainingjob(None, b.suspended_status()), b.job(suspended=True)),
        suspend_job=False,
    ),
    row(
        "a Job that was suspended by hand is resumed",
        b.observed(b.trainingjob(None, b.running_status()), b.job(suspended=True), b.running_pod(ends_by=b.SOON)),
        suspend_job=False,
    ),
    row(
        "a finished Job is not suspended",
        b.observed(b.trainingjob(SUSPENDED_SPEC), b.job(failed_reason="DeadlineExceeded")),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        event="Warning",
    ),
    row(
        "a suspended training whose Job was deleted gets a suspended Job again",
        b.observed(b.trainingjob(SUSPENDED_SPEC, b.suspended_status())),
        create_job=True,
    ),
    row(
        "a suspended training has no pending deadline",
        b.observed(b.trainingjob(SUSPENDED_SPEC | {"pendingDeadlineSeconds": 1}), b.job(suspended=True)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
        requeue=False,
    ),
]


def with_queue(spec: Any = None, status: Any = None) -> Any:
    return b.trainingjob(spec, status, QUEUED)


KUEUE = [
    row("Kueue: a TrainingJob with a LocalQueue gets its Job", b.observed(with_queue()), create_job=True),
    row(
        "Kueue: an empty label names no LocalQueue to wait for",
        b.observed(b.trainingjob(metadata={"labels": {c.KUEUE_QUEUE_LABEL: ""}}), b.job(suspended=True)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
    ),
    row(
        "Kueue: a Job that Kueue suspends waits for quota and is not resumed",
        b.observed(with_queue(), b.job(suspended=True)),
        phase="Suspended",
        reason=c.WAITING_FOR_QUOTA,
        message=("LocalQueue team-a", "kubectl get workloads -n training"),
        event="Normal",
    ),
    row(
        "Kueue: a preempted Job waits for quota, and that is no restart",
        b.observed(
            with_queue(status=b.running_status(restarts=1)), b.job(suspended=True), b.running_pod(ends_by=b.SOON)
        ),
        phase="Suspended",
        reason=c.WAITING_FOR_QUOTA,
        fields={"podName": "", "restarts": 1},
        event="Normal",
    ),
    row(
        "Kueue: spec.suspend deletes the Job",
        b.observed(with_queue(SUSPENDED_SPEC, b.running_status()), b.job(), b.running_pod()),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
        delete_job=True,
    ),
    row(
        "Kueue: spec.suspend deletes a Job that waits for quota too",
        b.observed(with_queue(SUSPENDED_SPEC, b.suspended_status(c.WAITING_FOR_QUOTA)), b.job(suspended=True)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
        delete_job=True,
    ),
    row(
        "Kueue: while spec.suspend is set no Job is created",
        b.observed(with_queue(SUSPENDED_SPEC)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
    ),
    row(
        "Kueue: while the pods end nothing is written",
        b.observed(with_queue(SUSPENDED_SPEC, b.suspended_status()), None, b.running_pod(ends_by=b.SOON)),
    ),
    row(
        "Kueue: clearing spec.suspend creates the Job again",
        b.observed(with_queue(status=b.suspended_status())),
        create_job=True,
    ),
    row(
        "Kueue: a finished Job is reported although spec.suspend is set",
        b.observed(with_queue(SUSPENDED_SPEC, b.running_status()), b.job(failed_reason="DeadlineExceeded")),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        event="Warning",
    ),
]
RESUMED = [
    row(
        "a resume ends the condition Suspended and shows as Resumed",
        b.observed(b.trainingjob(status=b.suspended_status()), b.job(), b.pod()),
        phase="Pending",
        conditions={"Suspended": f"False/{c.RESUMED}", "Running": f"False/{c.RESUMED}"},
        event=f"Normal/{c.RESUMED}",
    ),
    row(
        "Kueue: so does its admission",
        b.observed(b.trainingjob(status=b.suspended_status(c.WAITING_FOR_QUOTA)), b.job(), b.pod()),
        phase="Pending",
        conditions={"Suspended": f"False/{c.RESUMED}", "Running": f"False/{c.RESUMED}"},
        event=f"Normal/{c.RESUMED}",
    ),
    row(
        "the resume of a training that never ran is no interruption",
        b.observed(b.trainingjob(status=b.suspended_status()), b.job(start_time=YOUNG)),
        phase="Pending",
        conditions={"Suspended": f"False/{c.RESUMED}"},
        event=f"Normal/{c.RESUMED}",
    ),
    row(
        "a resumed training without a node shows both",
        b.observed(b.trainingjob(status=b.suspended_status()), b.job(), b.pod(node="", unschedulable="0/1 nodes.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        conditions={"Suspended": f"False/{c.RESUMED}"},
        event="Warning",
    ),
]


@pytest.mark.parametrize(("observed", "expected"), SUSPENSION + KUEUE + RESUMED)
def test_suspension(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


@pytest.mark.parametrize("suspend", [False, True])
def test_a_job_is_created_with_the_specs_suspend(suspend: bool) -> None:
    made = decide(b.observed(b.trainingjob({"suspend": suspend}))).create_job
    assert made is not None
    assert made["spec"]["suspend"] is suspend


def test_the_job_gets_kueues_labels() -> None:
    made = decide(
        b.observed(b.trainingjob(metadata={"labels": QUEUED["labels"] | {"kueue.x-k8s.io/priority-class": "p"}}))
    )
    assert made.create_job is not None
    labels = made.create_job["metadata"]["labels"]
    assert (labels[c.KUEUE_QUEUE_LABEL], labels["kueue.x-k8s.io/priority-class"]) == ("team-a", "p")


@pytest.mark.parametrize(
    "noted",
    [{"start_time": None, "resuming": True}, {"start_time": b.HOUR_AGO, "resuming": True}, {"start_time": RESUMED_AT}],
    ids=["no start time yet", "the old start time", "the new start time"],
)
def test_a_resume_resets_the_start_time(noted: dict[str, Any]) -> None:
    """However long the Job controller takes to update the Job."""
    before = b.trainingjob(status=b.suspended_status())
    first = decide(b.observed(before, b.job(**noted), b.pod())).status or {}
    status = before.status.model_dump(mode="json", by_alias=True, exclude_none=True) | first
    later = decide(
        b.observed(b.trainingjob(status=status), b.job(start_time=RESUMED_AT), b.running_pod("cats-0-x"))
    ).status
    assert (status | (later or {}))["startTime"] == RESUMED_AT
