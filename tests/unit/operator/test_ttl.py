"""ttlSecondsAfterFinished, and the message that must not come back after it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support import observed_state as b
from vott_operator.api import constants as c
from vott_operator.decisions.plan import Plan, plan
from vott_operator.decisions.ttl import MESSAGE_LIFETIME

MESSAGE = {c.ANNOTATION_MESSAGE_ID: "m1", c.ANNOTATION_QUEUE: "storage://account/training"}
FINISHED = {"phase": "Complete", "completionTime": "2026-01-01T11:00:00Z", "conditions": [b.condition("Complete")]}
SETTLED = b.condition(c.MESSAGE_SETTLED)
CALLBACK = {"callback": {"url": "https://host/status"}}


def decide(
    ttl: int | None = 600,
    *,
    spec: Any = None,
    status: Any = FINISHED,
    annotations: Any = None,
    settled: bool = False,
    age: timedelta = timedelta(hours=2),
) -> Plan:
    created = (b.NOW - age).isoformat()
    metadata = {"annotations": annotations or {}, "creationTimestamp": created}
    tj = b.trainingjob({"ttlSecondsAfterFinished": ttl} | (spec or {}), status, metadata)
    return plan(replace(b.observed(tj), message_settled=settled), b.settings(), b.NOW)


def test_a_finished_trainingjob_is_deleted_when_its_ttl_ends() -> None:
    assert decide().delete


def test_without_a_ttl_it_stays() -> None:
    assert decide(None) == Plan()


def test_the_pass_is_requeued_for_the_end_of_the_ttl() -> None:
    result = decide(3600 + 90)
    assert (result.delete, result.requeue_seconds) == (False, 90)


def test_an_unfinished_trainingjob_stays_however_old() -> None:
    assert not decide(0, status={}, age=timedelta(days=100)).delete


def test_it_stays_until_its_outcome_was_delivered() -> None:
    assert not decide(spec=CALLBACK).delete
    delivered = {"conditions": [b.condition("Complete"), b.condition(c.CALLBACK_DELIVERED)]}
    assert decide(spec=CALLBACK, status=FINISHED | delivered).delete


@pytest.mark.parametrize(
    ("settled", "recorded", "deleted"),
    [(False, [], False), (True, [], True), (False, [SETTLED], True)],
    ids=["unknown", "observed", "recorded"],
)
def test_it_stays_while_its_message_may_come_back(settled: bool, recorded: list[Any], deleted: bool) -> None:
    status = FINISHED | {"conditions": [b.condition("Complete"), *recorded]}
    assert decide(status=status, annotations=MESSAGE, settled=settled).delete is deleted


def test_a_message_counts_as_expired_in_the_end() -> None:
    result = decide(annotations=MESSAGE)
    assert result.requeue_seconds == (MESSAGE_LIFETIME - timedelta(hours=2)).total_seconds()
    assert decide(annotations=MESSAGE, age=MESSAGE_LIFETIME).delete


def test_the_settlement_is_recorded_for_the_next_operator() -> None:
    result = decide(3600 + 90, annotations=MESSAGE, settled=True)
    assert result.status is not None
    assert result.status["conditions"][-1]["type"] == c.MESSAGE_SETTLED


def test_the_settlement_is_not_worth_a_write_before_the_end() -> None:
    tj = b.trainingjob(metadata={"annotations": MESSAGE})
    starting = replace(b.observed(tj, b.job(), b.pod()), message_settled=True)
    running = replace(b.observed(tj, b.job(), b.pod(phase="Running", running=True)), message_settled=True)
    assert plan(starting, b.settings(), b.NOW).status is None
    written = plan(running, b.settings(), b.NOW).status
    assert written is not None
    assert {item["type"] for item in written["conditions"]} == {"Running", c.MESSAGE_SETTLED}
