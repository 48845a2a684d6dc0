"""Plan table: the trainer has ended, and other containers of its pod still run."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

TWO = {"trainer": {"nodes": 2}}
JUST_NOW, A_MINUTE_AGO = b.JUST_NOW, "2026-01-01T11:59:00Z"
TWO_MINUTES_AGO = "2026-01-01T11:58:00Z"
BAD_LINE = '{"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4."}'


def ended(code: int, finished_at: str = A_MINUTE_AGO, name: str = "cats-0-abcde", **fields: Any) -> Any:
    """A pod whose trainer ended while its proxy still runs."""
    return b.pod(name, phase="Running", exit_code=code, finished_at=finished_at, remaining=("proxy",), **fields)


def after(*pods: Any, job: Any = None, spec: Any = None, **status: Any) -> Observed:
    return b.observed(b.trainingjob(spec, b.running_status(**status)), job or b.job(), *pods)


ROWS = [
    row(
        "the container that still runs is named at first",
        after(ended(0, JUST_NOW), model=b.MODEL),
        phase="Running",
        reason=c.CONTAINERS_REMAIN,
        message=("container proxy of pod cats-0-abcde still runs",),
        event="Normal",
        requeue=29.0,
    ),
    row(
        "then the trainer's exit decides: Complete",
        after(ended(0), model=b.MODEL),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "without the model's report, it may still arrive",
        after(ended(0, "2026-01-01T11:59:10Z")),
        phase="Running",
        reason=c.CONTAINERS_REMAIN,
        event="Normal",
        requeue=10.0,
    ),
    row(
        "without the model's report for long, it is missing",
        after(ended(0, TWO_MINUTES_AGO)),
        phase="Failed",
        reason=c.MODEL_NOT_REPORTED,
        event="Warning",
    ),
    row(
        "the Job of a training that is Complete is deleted, and with it the pod",
        b.observed(b.trainingjob(status=b.complete_status(model=b.MODEL)), b.job(), ended(0)),
        delete_job=True,
    ),
    row(
        "a sidecar that fails after the trainer succeeded changes nothing",
        after(b.pod(phase="Failed", exit_code=0, finished_at=A_MINUTE_AGO), job=b.job(failed_pods=1), model=b.MODEL),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "even if the Job has failed for it",
        after(
            b.pod(phase="Failed", exit_code=0, finished_at=A_MINUTE_AGO),
            job=b.job(failed_pods=1, failed_reason="BackoffLimitExceeded"),
            model=b.MODEL,
        ),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "a failure counts, and the Job with the pod is replaced",
        after(ended(1)),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 2 of 4", "exit code 1"),
        fields={"failures": 1},
        event="Warning",
        delete_job=True,
    ),
    row(
        "a failure waits for the other containers at first",
        after(ended(1, JUST_NOW)),
        phase="Running",
        reason=c.CONTAINERS_REMAIN,
        event="Normal",
    ),
    row(
        "a failure above backoffLimit is final",
        after(ended(1), job=b.job(failures=3)),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        fields={"failures": 4},
        event="Warning",
    ),
    row(
        "a permanent failure is final at once",
        after(ended(65, termination_message=BAD_LINE)),
        phase="Failed",
        reason="BadAnnotations",
        message=("a.csv line 7",),
        event="Warning",
    ),
    row(
        "a trainer that was stopped does not count",
        after(ended(143)),
        phase="Pending",
        reason=c.INTERRUPTED,
        fields={"failures": 0},
        event="Warning",
        delete_job=True,
    ),
    row(
        "several nodes: the first pod's success decides",
        after(ended(0), ended(0, name="cats-1-abcde"), spec=TWO, model=b.MODEL),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "several nodes: a failed trainer counts although its pod and its peers still run",
        after(ended(1, name="cats-1-abcde"), b.running_pod(), spec=TWO),
        phase="Pending",
        reason=c.RETRYING,
        fields={"failures": 1},
        event="Warning",
        delete_job=True,
    ),
]


@pytest.mark.parametrize(("observed", "expected"), ROWS)
def test_sidecars(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))
