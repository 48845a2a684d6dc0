"""The table of decisions: Jobs that were deleted by hand, are another's, or are made anew; suspension, and Kueue."""

from typing import Any

import pytest

from tests.support.observed_state import (
    HOUR_AGO,
    SOON,
    job,
    observed,
    pod,
    running_pod,
    trainingjob,
    was_pending,
    was_running,
    was_suspended,
)
from tests.unit.operator.expectations import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

HELD = {"suspend": True}
QUEUED = {"labels": {c.KUEUE_QUEUE_LABEL: "team-a"}}
RESUMED_AT = "2026-01-01T11:59:58Z"
TEN_HOURS = {"activeDeadlineSeconds": 36_000}

ANEW = [
    row(
        "a Job that somebody deleted is made anew",
        observed(trainingjob(status=was_running())),
        create=True,
    ),
    row(
        "it is made once the pod of the old one has ended, and that is said",
        observed(trainingjob(status=was_running()), None, running_pod(ends_by=SOON)),
        phase="Pending",
        reason=c.OLD_JOB_REMAINS,
        says=("Pod cats-0-abcde of an earlier Job is still ending", "no two train at once"),
        event="",
        again=2.0,
    ),
    row(
        "a pod that ended of itself holds nobody up",
        observed(trainingjob(status=was_running()), None, pod(phase="Failed", exit_code=137)),
        create=True,
    ),
    row(
        "what was said of a retry stays while the old pods end",
        observed(trainingjob(status=was_pending(c.RETRYING)), None, running_pod(ends_by=SOON)),
        again=2.0,
    ),
    row(
        "a Job that is going is waited for",
        observed(trainingjob(status=was_running()), job(deleting=True), running_pod(ends_by=SOON)),
        again=2.0,
    ),
    row(
        "a Job of an earlier TrainingJob is waited for and that is said",
        observed(None, job(owner_uid="another"), running_pod()),
        phase="Pending",
        reason=c.OLD_JOB_REMAINS,
        says=("of an earlier TrainingJob", "Delete it if it stays"),
        again=2.0,
    ),
    row(
        "pods of an earlier TrainingJob are waited for, too",
        observed(None, None, running_pod(job_uid="earlier", ends_by=SOON)),
        phase="Pending",
        reason=c.OLD_JOB_REMAINS,
        again=2.0,
    ),
    row(
        "somebody else's Job of the name ends it with the remedy",
        observed(None, job(owner_uid="")),
        phase="Failed",
        reason=c.JOB_NAME_TAKEN,
        says=("Job cats", "Delete it, or use another name"),
        event="Warning",
    ),
]
SUSPENSION = [
    row(
        "suspend is passed to the Job",
        observed(trainingjob(HELD, was_running()), job(), running_pod()),
        suspend=True,
    ),
    row(
        "a Job that is suspended is said, whatever its pods still do",
        observed(trainingjob(HELD, was_running()), job(suspended=True), running_pod(ends_by=SOON)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        says=("it resumes when spec.suspend is false",),
        conditions={"Running": f"False/{c.JOB_SUSPENDED}"},
        fields={"podName": "", "restarts": 0},
        event="Normal",
    ),
    row(
        "what was said of a suspension is not written again",
        observed(trainingjob(HELD, was_suspended()), job(suspended=True)),
    ),
    row(
        "resume is passed to the Job, and nobody else is blamed",
        observed(trainingjob(None, was_suspended()), job(suspended=True)),
        suspend=False,
    ),
    row(
        "a Job that somebody else suspended is resumed",
        observed(trainingjob(None, was_running()), job(suspended=True), running_pod(ends_by=SOON)),
        suspend=False,
    ),
    row(
        "a Job that has ended is suspended no more",
        observed(trainingjob(HELD), job(failed_reason="DeadlineExceeded")),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        event="Warning",
    ),
    row(
        "a suspended training whose Job somebody deleted gets another, suspended",
        observed(trainingjob(HELD, was_suspended())),
        create=True,
    ),
    row(
        "a suspended training has all the time there is to wait for a node",
        observed(trainingjob(HELD | {"pendingDeadlineSeconds": 1}), job(suspended=True)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
        again=False,
    ),
]


def queued(spec: Any = None, status: Any = None) -> Any:
    return trainingjob(spec, status, QUEUED)


KUEUE = [
    row("a TrainingJob of a Kueue queue gets its Job as any other", observed(queued()), create=True),
    row(
        "what Kueue suspends waits for quota, and is left alone",
        observed(queued(), job(suspended=True)),
        phase="Suspended",
        reason=c.WAITING_FOR_QUOTA,
        says=("LocalQueue team-a", "kubectl get workloads -n training"),
        event="Normal",
    ),
    row(
        "what Kueue preempts waits for quota, and begins anew without a restart",
        observed(queued(status=was_running(restarts=1)), job(suspended=True), running_pod(ends_by=SOON)),
        phase="Suspended",
        reason=c.WAITING_FOR_QUOTA,
        fields={"podName": "", "restarts": 1},
        event="Normal",
    ),
    row(
        "a Job of Kueue's that is held back by its user goes away",
        observed(queued(HELD, was_running()), job(), running_pod()),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
        delete_job=True,
    ),
    row(
        "likewise while it waits for quota",
        observed(queued(HELD, was_suspended(c.WAITING_FOR_QUOTA)), job(suspended=True)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
        delete_job=True,
    ),
    row(
        "and is not made before its user lets it",
        observed(queued(HELD)),
        phase="Suspended",
        reason=c.JOB_SUSPENDED,
        event="Normal",
    ),
    row(
        "while its pods end nothing new is said",
        observed(queued(HELD, was_suspended()), None, running_pod(ends_by=SOON)),
    ),
    row("and comes back then", observed(queued(status=was_suspended())), create=True),
    row(
        "a Job of Kueue's that has ended is told, though its user now holds it back",
        observed(queued(HELD, was_running()), job(failed_reason="DeadlineExceeded")),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        event="Warning",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), ANEW + SUSPENSION + KUEUE)
def test_jobs(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        ({}, 36_000),
        (was_running(), 32_400),
        (was_suspended(), 36_000),
        (was_running(startTime="2026-01-01T01:00:00Z"), 1),
    ],
    ids=["the first has all", "another has what is left", "after a suspension it has all", "at least a second"],
)
def test_a_job_has_the_time_that_the_one_before_left(status: dict[str, Any], seconds: int) -> None:
    made = decide(observed(trainingjob(TEN_HOURS, status))).create_job
    assert made is not None
    assert made["spec"]["activeDeadlineSeconds"] == seconds


@pytest.mark.parametrize("held", [False, True])
def test_a_job_is_made_suspended_as_the_spec_says(held: bool) -> None:
    made = decide(observed(trainingjob({"suspend": held}))).create_job
    assert made is not None
    assert made["spec"]["suspend"] is held


def test_kueues_labels_go_onto_the_job() -> None:
    made = decide(observed(trainingjob(metadata={"labels": QUEUED["labels"] | {"kueue.x-k8s.io/priority-class": "p"}})))
    assert made.create_job is not None
    labels = made.create_job["metadata"]["labels"]
    assert (labels[c.KUEUE_QUEUE_LABEL], labels["kueue.x-k8s.io/priority-class"]) == ("team-a", "p")


@pytest.mark.parametrize(
    "noted",
    [{"start_time": None, "resuming": True}, {"start_time": HOUR_AGO, "resuming": True}, {"start_time": RESUMED_AT}],
    ids=["not yet", "the old one still", "at once"],
)
def test_a_resumed_training_started_when_it_was_resumed(noted: dict[str, Any]) -> None:
    """However long the Job controller takes to note it."""
    before = trainingjob(status=was_suspended())
    first = decide(observed(before, job(**noted), pod())).status or {}
    status = before.status.model_dump(mode="json", by_alias=True, exclude_none=True) | first
    later = decide(observed(trainingjob(status=status), job(start_time=RESUMED_AT), running_pod("cats-0-x"))).status
    assert (status | (later or {}))["startTime"] == RESUMED_AT
