"""Plan table: the record of the end in an annotation, and a TrainingJob that was restored with it and without its status."""

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.api.ended import Ended
from vott_operator.decisions.observed import Observed

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
