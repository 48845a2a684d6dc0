"""Plan table: the condition Stalled."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

STALLED = b.condition(c.STALLED, reason=c.NO_PROGRESS)


def stalled_training(*more: Any, **fields: Any) -> dict[str, Any]:
    known = b.running_status(**fields)
    return known | {"conditions": [*known["conditions"], *more]}


def silent_since(time: str, **fields: Any) -> dict[str, Any]:
    """The status of a training that has been running since then, and has not reported for as long."""
    known = b.running_status(**{"progress": {"epochCurrent": 1}} | fields)
    return known | {"conditions": [known["conditions"][0] | {"lastTransitionTime": time}]}


REPORTED = {"progress": {"percent": 5, "lastUpdatedTime": "2026-01-01T11:50:00Z"}}
ROWS = [
    row(
        "a training without a report for too long is stalled, with an Event",
        b.observed(b.trainingjob(status=b.running_status()), b.job(), b.running_pod()),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}", "Running": f"True/{c.TRAINER_RUNNING}"},
        event=f"Warning/{c.NO_PROGRESS}",
    ),
    row(
        "a report in time postpones it, and the pass is requeued",
        b.observed(b.trainingjob(status=b.running_status(**REPORTED)), b.job(), b.running_pod()),
        requeue=300.0,
    ),
    row(
        "a training that has just started to run has the whole time, whatever the last report",
        b.observed(
            b.trainingjob(
                status=b.running_status(progress={"lastUpdatedTime": "2026-01-01T09:00:00Z"})
                | {
                    "conditions": [
                        b.condition("Running", reason=c.TRAINER_RUNNING, message="Pod cats-0-abcde is training.")
                        | {"lastTransitionTime": "2026-01-01T11:59:00Z"}
                    ]
                }
            ),
            b.job(),
            b.running_pod(),
        ),
        requeue=840.0,
    ),
    *(
        row(
            f"a report in the future ({time}) counts as now",
            b.observed(
                b.trainingjob(status=b.running_status(progress={"lastUpdatedTime": time})), b.job(), b.running_pod()
            ),
            requeue=900.0,
        )
        for time in ("2026-01-01T12:01:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00")
    ),
    row(
        "the Event is emitted once",
        b.observed(b.trainingjob(status=stalled_training(STALLED | {"message": "*"})), b.job(), b.running_pod()),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}"},
    ),
    row(
        "a new report ends it",
        b.observed(b.trainingjob(status=stalled_training(STALLED, **REPORTED)), b.job(), b.running_pod()),
        conditions={c.STALLED: f"False/{c.PROGRESS_RESUMED}"},
        event=f"Normal/{c.PROGRESS_RESUMED}",
    ),
]


HUNG = [
    row(
        "a training that does not report for six hours is restarted, which counts",
        b.observed(b.trainingjob(status=silent_since("2026-01-01T06:00:00Z")), b.job(), b.running_pod()),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 2 of 4", "did not report for 21600 s"),
        fields={"failures": 1, "restarts": 0},
        event="Warning",
        delete_job=True,
    ),
    row(
        "it fails without retries",
        b.observed(b.trainingjob({"backoffLimit": 0}, silent_since("2026-01-01T06:00:00Z")), b.job(), b.running_pod()),
        phase="Failed",
        reason=c.NO_PROGRESS,
        message=("trainer.restartStalledAfterSeconds",),
        event="Warning",
    ),
    row(
        "the restart is decided once, whether the Job could be deleted or not",
        b.observed(
            b.trainingjob(status=b.pending_status(c.RETRYING, failures=1, restarts=0, jobName="cats")),
            b.job(),
            b.running_pod(),
        ),
        delete_job=True,
        requeue=1.0,
    ),
    row(
        "a script that never reports is not restarted",
        b.observed(b.trainingjob(status=silent_since("2026-01-01T06:00:00Z", progress=None)), b.job(), b.running_pod()),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}"},
        event=f"Warning/{c.NO_PROGRESS}",
    ),
    row(
        "a pod that took over while no operator ran has the whole time",
        b.observed(
            b.trainingjob(status=silent_since("2026-01-01T06:00:00Z", restarts=1)),
            b.job(),
            b.running_pod(started_at="2026-01-01T11:55:00Z"),
        ),
        requeue=600.0,
    ),
]


@pytest.mark.parametrize(("observed", "expected"), ROWS + HUNG)
def test_stalled(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


def test_deleting_the_pod_ends_the_stall() -> None:
    tj = b.trainingjob(status=stalled_training(STALLED))
    result = decide(b.observed(tj, b.job(), b.running_pod(ends_by=b.SOON)))
    assert result.status is not None
    conditions = {item["type"]: (item["status"], item["reason"]) for item in result.status["conditions"]}
    assert conditions == {"Running": ("False", c.INTERRUPTED), c.STALLED: ("False", c.INTERRUPTED)}
    assert {event.reason for event in result.events} == {c.INTERRUPTED}


def test_zero_seconds_turns_it_off() -> None:
    observed = b.observed(b.trainingjob(status=b.running_status()), b.job(), b.running_pod())
    assert decide(observed, trainer={"image": "trainer:1", "stalledAfterSeconds": 0}).status is None


def test_the_message_names_the_log() -> None:
    status = decide(b.observed(b.trainingjob(status=b.running_status()), b.job(), b.running_pod())).status
    assert status is not None
    (text,) = [item["message"] for item in status["conditions"] if item["type"] == c.STALLED]
    assert "kubectl logs -n training cats-0-abcde" in text
    assert "not reported for 900 s (last: never)" in text
