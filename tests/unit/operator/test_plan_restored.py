"""Plan table: the record of the end in an annotation, and a TrainingJob that was restored with it and without its status."""

from datetime import datetime, timedelta

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.api.ended import Ended
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import plan

UNRECORDED = {"annotations": {c.ANNOTATION_ENDED: ""}}
HELD = UNRECORDED | {"finalizers": [c.FINALIZER]}
DELIVERED = b.condition(c.CALLBACK_DELIVERED, reason=c.DELIVERED)
RETRYING = b.condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING)
MESSAGE = {c.ANNOTATION_MESSAGE_ID: "1"}
RECORD = [
    row(
        "the end is recorded", b.observed(b.trainingjob(None, b.complete_status(), UNRECORDED)), ended=True, requeue=0.0
    ),
    row(
        "in one write with the removal of the finalizer",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status(DELIVERED), HELD)),
        ended=True,
        finalizer="removed",
    ),
    row(
        "so not before the first attempt to post the outcome",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status(), HELD)),
        callback="succeeded",
    ),
    row(
        "but without waiting for a callback that fails",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status(RETRYING), HELD)),
        ended=True,
        callback="succeeded",
    ),
    row(
        "a deleted TrainingJob needs no record",
        b.observed(b.trainingjob(b.CALLBACK, b.complete_status(DELIVERED), HELD | {"deletionTimestamp": b.JUST_NOW})),
        finalizer="removed",
    ),
    row(
        "nor does one whose TTL has passed",
        b.observed(b.trainingjob({"ttlSecondsAfterFinished": 0}, b.complete_status(), UNRECORDED)),
        delete=True,
    ),
    row(
        "the record of another TrainingJob, in a copy, is replaced",
        b.observed(b.trainingjob(None, b.complete_status(), {"annotations": b.ended_annotation(name="dogs")})),
        ended=True,
    ),
]
OTHER = {"annotations": b.ended_annotation(uid="an-earlier-uid")}
FAILED = {"annotations": b.ended_annotation(uid="an-earlier-uid", phase=c.FAILED, reason=c.OOM_KILLED)}
OF_A_MESSAGE = {"annotations": OTHER["annotations"] | MESSAGE}
SETTLED = {"annotations": b.ended_annotation(uid="an-earlier-uid", messageSettled=True) | MESSAGE}
RESTORED = [
    row(
        "a restored TrainingJob that was complete is complete, with its callback left alone",
        b.observed(b.trainingjob(b.CALLBACK, None, OTHER)),
        phase=c.COMPLETE,
        reason=c.RESTORED,
        message=("2026-01-01T11:00:00Z (Complete, TrainingSucceeded)", "without the annotation vott.dev/ended"),
        fields={"completionTime": b.HOUR_AGO, "jobName": None},
    ),
    row(
        "one that had failed has failed",
        b.observed(b.trainingjob(None, None, FAILED)),
        phase=c.FAILED,
        reason=c.RESTORED,
        message=("(Failed, OOMKilled)",),
    ),
    row(
        "it takes no notice of a Job that was restored, too",
        b.observed(b.trainingjob(None, None, OTHER), b.job(owner_uid="an-earlier-uid"), b.running_pod()),
        phase=c.COMPLETE,
        reason=c.RESTORED,
    ),
    row(
        "deleting it at once does not cancel it",
        b.observed(
            b.trainingjob(b.CALLBACK, None, OTHER | {"deletionTimestamp": b.JUST_NOW, "finalizers": [c.FINALIZER]})
        ),
        phase=c.COMPLETE,
        reason=c.RESTORED,
    ),
    row(
        "its TTL counts from the end, without waiting for a message that was removed before",
        b.observed(b.trainingjob(None, None, SETTLED)),
        phase=c.COMPLETE,
        reason=c.RESTORED,
        conditions={c.MESSAGE_SETTLED: f"True/{c.REMOVED_FROM_QUEUE}"},
    ),
    row("one that had not ended trains", b.observed(b.trainingjob()), create_job=True),
    row(
        "a copy under another name trains",
        b.observed(b.trainingjob(None, None, {"annotations": b.ended_annotation(uid="another", name="dogs")})),
        create_job=True,
    ),
    row(
        "an annotation that can't be read is ignored",
        b.observed(b.trainingjob(None, None, {"annotations": b.ended_annotation(uid="another", time="soon")})),
        create_job=True,
    ),
]
RESTORED_STATUS = b.complete_status() | {"reason": c.RESTORED}
AFTERWARDS = [
    row(
        "no outcome is posted, and the finalizer of the backup is removed",
        b.observed(b.trainingjob(b.CALLBACK, RESTORED_STATUS, OTHER | {"finalizers": [c.FINALIZER]})),
        finalizer="removed",
    ),
    row(
        "the record stays that of the original: a second restore finds it again",
        b.observed(b.trainingjob(b.CALLBACK, RESTORED_STATUS, OTHER)),
    ),
]


@pytest.mark.parametrize(("observed", "expected"), [*RECORD, *RESTORED, *AFTERWARDS])
def test_restored(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [(b.complete_status(), c.COMPLETE, c.TRAINING_SUCCEEDED), (b.failed_status(), c.FAILED, c.TRAINER_FAILED)],
    ids=["complete", "failed"],
)
@pytest.mark.parametrize("settled", [True, False])
def test_the_record_says_how_it_ended_and_whether_its_message_may_come_back(
    status: dict[str, object], phase: str, reason: str, settled: bool
) -> None:
    tj = b.trainingjob(None, status, {"annotations": UNRECORDED["annotations"] | MESSAGE})
    ended = decide(Observed(tj, message_settled=settled)).record_end
    assert ended is not None
    assert (ended.phase, ended.reason, ended.message_settled) == (phase, reason, settled)
    written = b.trainingjob(metadata={"annotations": {c.ANNOTATION_ENDED: ended.to_annotation()}})
    assert Ended.of(written) == ended


def test_a_message_that_may_come_back_keeps_a_restored_trainingjob() -> None:
    status = decide(b.observed(b.trainingjob(None, None, OF_A_MESSAGE))).status
    assert status is not None
    assert [condition["type"] for condition in status["conditions"]] == [c.COMPLETE]


# ----------------------------------------------------------------------------- TrainingJobs that ended under an earlier version

EARLIER = b.complete_status(completionTime="2025-12-01T12:00:00Z")


def test_ends_of_long_ago_are_not_all_recorded_at_once_but_within_an_hour() -> None:
    seconds = []
    for number in range(200):
        tj = b.trainingjob(None, EARLIER, UNRECORDED | {"uid": str(number)})
        seconds.append(seconds_until_recorded(b.observed(tj)))
    assert max(sum(start <= each < start + 300 for each in seconds) for start in range(0, 3600, 300)) < 50
    assert max(seconds) <= 3601


def seconds_until_recorded(observed: Observed) -> float:
    """How long after NOW the end is recorded, if a requeue comes a second late."""
    now: datetime = b.NOW
    while (step := plan(observed, b.settings(), now)).record_end is None:
        assert step.requeue_seconds
        now += timedelta(seconds=step.requeue_seconds + 1)
    return (now - b.NOW).total_seconds()


def test_the_ttl_does_not_wait_for_the_record() -> None:
    long_ago = {"ttlSecondsAfterFinished": 31 * 24 * 3600 + 30}
    tj = b.trainingjob(long_ago, EARLIER, UNRECORDED)
    step = plan(b.observed(tj), b.settings(), b.NOW)
    assert (step.record_end, step.requeue_seconds) == (None, 30)


def test_the_finalizer_is_removed_in_one_write_with_the_record_however_long_ago_the_end_was() -> None:
    status = EARLIER | {"conditions": [*EARLIER["conditions"], DELIVERED]}
    step = decide(b.observed(b.trainingjob(b.CALLBACK, status, HELD)))
    assert step.remove_finalizer
    assert step.record_end is not None
