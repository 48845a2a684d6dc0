"""Plan table: ttlSecondsAfterFinished, and what a deletion waits for."""

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

DELIVERED = b.condition(c.CALLBACK_DELIVERED, reason=c.DELIVERED)
TTL = {"ttlSecondsAfterFinished": 600}
DELETION = [
    row("it is deleted when its TTL ends", b.observed(b.trainingjob(TTL, b.complete_status())), delete=True),
    row(
        "not before its outcome was delivered",
        b.observed(b.trainingjob(TTL | b.CALLBACK, b.complete_status())),
        callback="succeeded",
    ),
    row(
        "nor before its finalizer is removed",
        b.observed(b.trainingjob(TTL | b.CALLBACK, b.complete_status(DELIVERED), {"finalizers": [c.FINALIZER]})),
        finalizer="removed",
    ),
    row(
        "its Job ends first",
        b.observed(b.trainingjob(TTL, b.failed_status(reason=c.PENDING_DEADLINE_EXCEEDED)), b.job(), b.pod(node="")),
        delete_job=True,
    ),
    row(
        "before that it is requeued for the end of its TTL",
        b.observed(b.trainingjob(TTL, b.complete_status(completionTime="2026-01-01T11:59:00Z"))),
        requeue=540.0,
    ),
    row(
        "the requeue is not immediate, even just before the end",
        b.observed(b.trainingjob(TTL, b.complete_status(completionTime="2026-01-01T11:50:00.500Z"))),
        requeue=1.0,
    ),
    row(
        "a deleted TrainingJob is not deleted again",
        b.observed(b.deleted(b.complete_status(), "other.dev/x", spec=TTL)),
    ),
    row("an unfinished TrainingJob stays", b.observed(b.trainingjob({"ttlSecondsAfterFinished": 0})), create_job=True),
]


@pytest.mark.parametrize(("observed", "expected"), DELETION)
def test_ttl(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))
