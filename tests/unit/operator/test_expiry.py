"""When a finished TrainingJob goes, and what holds the door shut until then."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.observed_state import NOW, condition, job, observed, pod, settings, trainingjob
from vott_operator.api import constants as c
from vott_operator.decisions.plan import Plan, plan
from vott_operator.decisions.ttl import MESSAGE_LIFETIME

MESSAGE = {c.ANNOTATION_MESSAGE_ID: "m1", c.ANNOTATION_QUEUE: "storage://account/training"}
ENDED = {"phase": "Complete", "completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Complete")]}
SETTLED = condition(c.MESSAGE_SETTLED)
CALLBACK = {"callback": {"url": "https://host/status"}}


def decide(
    ttl: int | None = 600,
    *,
    spec: Any = None,
    status: Any = ENDED,
    annotations: Any = None,
    settled: bool = False,
    age: timedelta = timedelta(hours=2),
) -> Plan:
    created = (NOW - age).isoformat()
    metadata = {"annotations": annotations or {}, "creationTimestamp": created}
    tj = trainingjob({"ttlSecondsAfterFinished": ttl} | (spec or {}), status, metadata)
    return plan(replace(observed(tj), message_settled=settled), settings(), NOW)


def test_a_finished_trainingjob_goes_when_its_time_is_over() -> None:
    assert decide().delete


def test_without_a_ttl_it_stays() -> None:
    assert decide(None) == Plan()


def test_before_its_time_it_is_looked_at_again_then() -> None:
    result = decide(3600 + 90)
    assert (result.delete, result.requeue_seconds) == (False, 90)


def test_an_unfinished_trainingjob_stays_however_old() -> None:
    assert not decide(0, status={}, age=timedelta(days=100)).delete


def test_it_stays_until_its_callback_was_told() -> None:
    assert not decide(spec=CALLBACK).delete
    told = {"conditions": [condition("Complete"), condition(c.CALLBACK_DELIVERED)]}
    assert decide(spec=CALLBACK, status=ENDED | told).delete


@pytest.mark.parametrize(
    ("settled", "recorded", "goes"),
    [(False, [], False), (True, [], True), (False, [SETTLED], True)],
    ids=["unknown", "seen", "recorded"],
)
def test_it_stays_while_its_message_may_come_back(settled: bool, recorded: list[Any], goes: bool) -> None:
    status = ENDED | {"conditions": [condition("Complete"), *recorded]}
    assert decide(status=status, annotations=MESSAGE, settled=settled).delete is goes


def test_a_message_that_was_never_seen_removed_is_taken_for_gone_in_the_end() -> None:
    result = decide(annotations=MESSAGE)
    assert result.requeue_seconds == (MESSAGE_LIFETIME - timedelta(hours=2)).total_seconds()
    assert decide(annotations=MESSAGE, age=MESSAGE_LIFETIME).delete


def test_that_the_message_is_gone_is_written_down_for_the_next_operator() -> None:
    result = decide(3600 + 90, annotations=MESSAGE, settled=True)
    assert result.status is not None
    assert result.status["conditions"][-1]["type"] == c.MESSAGE_SETTLED


def test_that_the_message_is_gone_costs_no_write_of_its_own_before_the_end() -> None:
    tj = trainingjob(metadata={"annotations": MESSAGE})
    starting = replace(observed(tj, job(), pod()), message_settled=True)
    running = replace(observed(tj, job(), pod(phase="Running", running=True)), message_settled=True)
    assert plan(starting, settings(), NOW).status is None
    written = plan(running, settings(), NOW).status
    assert written is not None
    assert {item["type"] for item in written["conditions"]} == {"Running", c.MESSAGE_SETTLED}
