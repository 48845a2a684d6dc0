"""Plan table: the outcome callback, and the finalizer that waits for it."""

from datetime import timedelta

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import plan

DELIVERED = b.condition(c.CALLBACK_DELIVERED, reason=c.DELIVERED)
RETRYING = b.condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING)
REFUSED = b.condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_REFUSED)
GIVEN_UP = b.condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_GIVEN_UP)
OUTCOME = [
    row(
        "success is posted once the Job has ended",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status()), b.job(complete=True)),
        callback="succeeded",
    ),
    row("failure is posted", b.observed(b.trainingjob(b.CALLBACK, b.failed_status())), callback="failed"),
    row("cancellation is posted", b.observed(b.deleted(b.failed_status(reason=c.CANCELLED))), callback="cancelled"),
    row(
        "an outcome before the deletion is posted unchanged",
        b.observed(b.deleted(b.failed_status())),
        callback="failed",
    ),
    row(
        "nothing is posted before the end",
        b.observed(
            b.trainingjob(b.CALLBACK, b.running_status(), {"finalizers": [c.FINALIZER]}), b.job(), b.running_pod()
        ),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}"},
        event=f"Warning/{c.NO_PROGRESS}",
    ),
    row(
        "a failed delivery is retried",
        b.observed(b.trainingjob(b.CALLBACK, b.failed_status(RETRYING))),
        callback="failed",
    ),
    row(
        "a deleted TrainingJob's outcome is retried for ten minutes",
        b.observed(b.deleted(b.failed_status(RETRYING, reason=c.CANCELLED), at="2026-01-01T11:50:01Z")),
        callback="cancelled",
    ),
    row(
        "after that it is given up",
        b.observed(b.deleted(b.failed_status(RETRYING, reason=c.CANCELLED), at="2026-01-01T11:49:59Z")),
        callback="cancelled",
        give_up=True,
    ),
    row(
        "the first attempt is made however late",
        b.observed(b.deleted(b.failed_status(reason=c.CANCELLED), at="2026-01-01T01:00:00Z")),
        callback="cancelled",
    ),
    *(
        row(
            f"the finalizer is removed once the outcome was {state}",
            b.observed(b.deleted(b.failed_status(delivery, reason=c.CANCELLED), c.FINALIZER, "other.dev/x")),
            finalizer="removed",
        )
        for state, delivery in (("delivered", DELIVERED), ("refused", REFUSED), ("given up", GIVEN_UP))
    ),
    row(
        "the finalizer is removed without a deletion too",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status(DELIVERED), {"finalizers": [c.FINALIZER]})),
        finalizer="removed",
    ),
    row(
        "then nothing is left to do",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status(DELIVERED))),
        requeue=False,
    ),
    row(
        "a deleted TrainingJob with a foreign finalizer needs nothing more",
        b.observed(b.deleted(b.complete_status(DELIVERED), "other.dev/x")),
        requeue=False,
    ),
]


@pytest.mark.parametrize(("observed", "expected"), OUTCOME)
def test_outcome(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


@pytest.mark.parametrize(("days", "given_up"), [(0, False), (2, True)])
def test_an_undelivered_outcome_is_given_up_after_give_up_after_seconds(days: int, given_up: bool) -> None:
    observed = b.observed(b.trainingjob(b.CALLBACK, b.failed_status(RETRYING)))
    outcome = plan(observed, b.settings(), b.NOW + timedelta(days=days)).callback
    assert outcome is not None
    assert outcome.give_up is given_up


def test_the_outcome_has_the_message_of_the_condition() -> None:
    outcome = decide(b.observed(b.trainingjob(b.CALLBACK, b.failed_status()))).callback
    assert outcome is not None
    assert outcome.message == "Why."
