"""The table of decisions: while it trains; how often it began anew; whether it still gets on."""

from typing import Any

import pytest

from tests.support.observed_state import (
    SOON,
    condition,
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

TWO = {"trainer": {"nodes": 2}}
ALL_RUN = condition("Running", reason=c.TRAINER_RUNNING, message="All 2 pods are training.")
STALLED = condition(c.STALLED, reason=c.NO_PROGRESS)


def stalled_training(*more: Any, **fields: Any) -> dict[str, Any]:
    known = was_running(**fields)
    return known | {"conditions": [*known["conditions"], *more]}


RUNNING = [
    row(
        "a pod that runs makes it running, which is no Event",
        observed(None, job(), running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        says=("Pod cats-0-abcde is training.",),
        fields={"podName": "cats-0-abcde", "jobName": "cats", "restarts": 0, "observedGeneration": 1},
        again=False,
    ),
    row(
        "what was said is not written again",
        observed(trainingjob(status=was_running()), job(), running_pod()),
        again=False,
    ),
    row(
        "a newly seen generation is written",
        observed(trainingjob(status=was_running(), metadata={"generation": 2}), job(), running_pod()),
        fields={"observedGeneration": 2},
    ),
    row(
        "several nodes train once all of their pods run",
        observed(trainingjob(TWO), job(), running_pod(), running_pod("cats-1-abcde")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        says=("All 2 pods are training.",),
        fields={"podName": "cats-0-abcde"},
    ),
    row(
        "the pod of a Job made before the operator was upgraded goes on",
        observed(
            trainingjob(status=was_running(podName=None)),
            job(),
            running_pod("cats-0-abcde", job_uid=""),
        ),
        fields={"podName": "cats-0-abcde", "restarts": 0},
    ),
    row(
        "a pod of an earlier Job that still ends is not taken for the one that trains",
        observed(
            trainingjob(status=was_pending(c.INTERRUPTED, podName="cats-0-older")),
            job(),
            running_pod("cats-0-older", job_uid="earlier"),
            pod("cats-0-young"),
        ),
    ),
    *(
        row(
            f"a trainer that has just ended is the Job's to judge (attempt {failed + 1}, {phase}, exit code {code})",
            observed(
                trainingjob(status=was_running(restarts=failed)),
                job(failed_pods=failed),
                *[pod("cats-0-first", phase="Failed", exit_code=1) for _ in range(failed)],
                pod(phase=phase, exit_code=code, created="2026-01-01T11:30:00Z"),
            ),
        )
        for failed in (0, 1)
        for phase, code in (("Running", 0), ("Succeeded", 0), ("Running", 1), ("Failed", 1))
    ),
    row(
        "of several nodes the first that ends well leaves the others their time",
        observed(
            trainingjob(TWO, was_running() | {"conditions": [ALL_RUN]}),
            job(),
            pod(phase="Succeeded", exit_code=0),
            running_pod("cats-1-abcde"),
        ),
    ),
]

RESTARTS = [
    row(
        "another pod in the place of the one that ran is a restart",
        observed(trainingjob(status=was_running()), job(), running_pod("cats-0-fghij")),
        fields={"podName": "cats-0-fghij", "restarts": 1},
        phase="Running",
        reason=c.TRAINER_RUNNING,
    ),
    row(
        "each further one is one more",
        observed(trainingjob(status=was_pending(c.INTERRUPTED, podName="cats-0-b", restarts=6)), job(), running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 7},
        event="Normal",
    ),
    row(
        "the first pod that runs is none",
        observed(trainingjob(status=was_pending(c.UNSCHEDULABLE)), job(), running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 0},
        event="Normal",
    ),
    row(
        "a pod after a suspension is none",
        observed(trainingjob(status=was_suspended(restarts=2)), job(), running_pod("cats-0-fghij")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 2, "podName": "cats-0-fghij"},
        conditions={"Suspended": f"False/{c.RESUMED}"},
        event="Normal",
    ),
    row(
        "failures that came and went unseen are counted by the Job",
        observed(trainingjob(status=was_running()), job(failed_pods=3), running_pod("cats-0-fghij")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 3},
    ),
    row(
        "a Job made anew does not count back",
        observed(trainingjob(status=was_running(restarts=4)), job(failed_pods=1), running_pod("cats-0-fghij")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 5},
    ),
    row(
        "of several nodes the first one's pods are counted",
        observed(
            trainingjob(TWO, was_running(conditions=[ALL_RUN])),
            job(),
            running_pod("cats-0-fghij"),
            running_pod("cats-1-fghij"),
        ),
        fields={"podName": "cats-0-fghij", "restarts": 1},
    ),
    row(
        "of several nodes another's pod is no restart",
        observed(
            trainingjob(TWO, was_running(conditions=[ALL_RUN])), job(), running_pod(), running_pod("cats-1-fghij")
        ),
    ),
]

REPORTED = {"progress": {"percent": 5, "lastUpdatedTime": "2026-01-01T11:50:00Z"}}
STALLING = [
    row(
        "a training without a report for long is stalled, and that is told",
        observed(trainingjob(status=was_running()), job(), running_pod()),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}", "Running": f"True/{c.TRAINER_RUNNING}"},
        event=f"Warning/{c.NO_PROGRESS}",
    ),
    row(
        "a report in time keeps it from being stalled, and the next time is awaited",
        observed(trainingjob(status=was_running(**REPORTED)), job(), running_pod()),
        again=300.0,
    ),
    row(
        "one that has just begun to run has its time, whatever was reported before",
        observed(
            trainingjob(
                status=was_running(progress={"lastUpdatedTime": "2026-01-01T09:00:00Z"})
                | {
                    "conditions": [
                        condition("Running", reason=c.TRAINER_RUNNING, message="Pod cats-0-abcde is training.")
                        | {"lastTransitionTime": "2026-01-01T11:59:00Z"}
                    ]
                }
            ),
            job(),
            running_pod(),
        ),
        again=840.0,
    ),
    *(
        row(
            f"a report of the future ({time}) is one of now",
            observed(trainingjob(status=was_running(progress={"lastUpdatedTime": time})), job(), running_pod()),
            again=900.0,
        )
        for time in ("2026-01-01T12:01:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00")
    ),
    row(
        "that it is stalled is said once",
        observed(trainingjob(status=stalled_training(STALLED | {"message": "*"})), job(), running_pod()),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}"},
    ),
    row(
        "a new report ends it",
        observed(trainingjob(status=stalled_training(STALLED, **REPORTED)), job(), running_pod()),
        conditions={c.STALLED: f"False/{c.PROGRESS_RESUMED}"},
        event=f"Normal/{c.PROGRESS_RESUMED}",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), RUNNING + RESTARTS)
def test_running(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen, trainer={"image": "trainer:1", "stalledAfterSeconds": 0}))


@pytest.mark.parametrize(("seen", "expected"), STALLING)
def test_stalling(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))


def test_a_pod_that_is_deleted_as_the_message_advises_ends_the_stall() -> None:
    tj = trainingjob(status=stalled_training(STALLED))
    result = decide(observed(tj, job(), running_pod(ends_by=SOON)))
    assert result.status is not None
    said = {item["type"]: (item["status"], item["reason"]) for item in result.status["conditions"]}
    assert said == {"Running": ("False", c.INTERRUPTED), c.STALLED: ("False", c.INTERRUPTED)}
    assert {note.reason for note in result.events} == {c.INTERRUPTED}


def test_where_nobody_asks_nothing_is_stalled() -> None:
    seen = observed(trainingjob(status=was_running()), job(), running_pod())
    assert decide(seen, trainer={"image": "trainer:1", "stalledAfterSeconds": 0}).status is None


def test_the_message_of_a_stall_tells_what_to_look_at() -> None:
    status = decide(observed(trainingjob(status=was_running()), job(), running_pod())).status
    assert status is not None
    (text,) = [item["message"] for item in status["conditions"] if item["type"] == c.STALLED]
    assert "kubectl logs -n training cats-0-abcde" in text
    assert "not reported for 900 s (last: never)" in text
