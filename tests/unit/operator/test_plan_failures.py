"""Plan table: failed Jobs, and how their failure is explained."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

BAD_LINE = '{"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4."}'
LIMIT = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
POLICY = {"failed_reason": "PodFailurePolicy", "failed_message": "Container trainer failed with exit code 65"}


def failing(child: dict[str, Any], *pods: dict[str, Any], **status: Any) -> Observed:
    """A failed Job and its failed pods."""
    failed = [
        b.pod(f"cats-0-{number}", **{"phase": "Failed", "created": f"2026-01-01T11:0{number}:00Z"} | fields)
        for number, fields in enumerate(pods)
    ]
    return b.observed(b.trainingjob(status=b.running_status(**status)), b.job(**child), *failed)


FAILED = [
    row(
        "a permanent failure has the trainer's reason and message",
        failing(POLICY | {"failed_pods": 1}, {"exit_code": 65, "termination_message": BAD_LINE}),
        phase="Failed",
        reason="BadAnnotations",
        message=("a.csv line 7: expected 6 fields, found 4.",),
        conditions={"Running": f"False/{c.TRAINER_FINISHED}"},
        fields={"restarts": 0},
        event="Warning",
    ),
    row(
        "an exceeded memory limit comes with the remedy",
        failing(LIMIT, {"exit_code": 137, "terminated_reason": "OOMKilled"}),
        phase="Failed",
        reason=c.OOM_KILLED,
        message=("spec.trainer.resources.limits.memory", "batchSize"),
        event="Warning",
    ),
    row(
        "without a termination message the log is named",
        failing(LIMIT, {"exit_code": 1}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        message=("exit code 1", "kubectl logs -n training cats-0-0"),
        event="Warning",
    ),
    row(
        "the number of attempts is named",
        failing(LIMIT | {"failed_pods": 4}, {"exit_code": 1}, restarts=3),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        message=("Tried 4 times (spec.backoffLimit)",),
        fields={"restarts": 3},
        event="Warning",
    ),
    row(
        "unseen failures count as restarts, except the last",
        failing(LIMIT | {"failed_pods": 4}, {"exit_code": 1}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        fields={"restarts": 3},
        event="Warning",
    ),
    row(
        "an eviction comes with the node's message",
        failing(LIMIT, {"reason": "Evicted", "message": "Disk full."}),
        phase="Failed",
        reason=c.EVICTED,
        message=("Disk full.", "trainer.workVolume"),
        event="Warning",
    ),
    row(
        "an init container that failed is named",
        failing(LIMIT, {"failed_init_container": "fetch (exit code 2)"}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        message=("init container fetch (exit code 2) failed", "kubectl logs -n training cats-0-0 -c fetch"),
        event="Warning",
    ),
    row(
        "an exceeded activeDeadlineSeconds is named",
        failing({"failed_reason": "DeadlineExceeded"}, {"exit_code": 143}),
        phase="Failed",
        reason=c.DEADLINE_EXCEEDED,
        message=("spec.activeDeadlineSeconds", "lower the number of epochs"),
        event="Warning",
    ),
    row(
        "the youngest pod that failed by itself explains the failure",
        failing(LIMIT, {"terminated_reason": "OOMKilled"}, {"exit_code": 3}, {"exit_code": 143}),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        message=("exit code 3",),
        event="Warning",
    ),
    row(
        "without pods the Job's condition explains the failure",
        failing(LIMIT),
        phase="Failed",
        reason=c.BACKOFF_LIMIT_EXCEEDED,
        message=("has reached the specified backoff limit", "kubectl describe job -n training cats"),
        event="Warning",
    ),
    *(
        row(
            f"a malformed termination message is ignored ({text[:20]})",
            failing(LIMIT, {"exit_code": 64, "termination_message": text}),
            phase="Failed",
            reason=c.TRAINER_FAILED,
            message=("exit code 64",),
            event="Warning",
        )
        for text in ("not JSON", "[]", '{"reason": "no word", "message": "m"}', '{"reason": "Word"}', "[" * 3000)
    ),
]


@pytest.mark.parametrize(("observed", "expected"), FAILED)
def test_failures(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))
