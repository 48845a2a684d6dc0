"""The table of decisions: deleting a TrainingJob cancels its training; the last word; and when it may go."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.observed_state import (
    HOUR_AGO,
    MODEL,
    NOW,
    SOON,
    condition,
    job,
    observed,
    pod,
    running_pod,
    settings,
    trainingjob,
    was_complete,
    was_failed,
    was_pending,
    was_running,
)
from tests.unit.operator.expectations import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import plan

CALLBACK = {"callback": {"url": "https://host/status"}}
JUST_NOW = "2026-01-01T11:59:59Z"
TWO = CALLBACK | {"trainer": {"nodes": 2}}
LIMIT = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
DELIVERED = condition(c.CALLBACK_DELIVERED, reason=c.DELIVERED)
RETRYING = condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING)
REFUSED = condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_REFUSED)
GIVEN_UP = condition(c.CALLBACK_DELIVERED, "False", c.DELIVERY_GIVEN_UP)


def deleted(status: Any = None, *finalizers: str, spec: Any = CALLBACK, at: str = JUST_NOW) -> TrainingJob:
    metadata = {"deletionTimestamp": at, "finalizers": list(finalizers or (c.FINALIZER,))}
    return trainingjob(spec, status or was_running(), metadata)


CANCELLED = {
    "phase": "Failed",
    "reason": c.CANCELLED,
    "says": ("The TrainingJob was deleted before its training ended.",),
    "event": "Normal",
}
CANCEL = [
    row(
        "a training whose TrainingJob is deleted is stopped, and nothing is said before it stands still",
        observed(deleted(), job(), running_pod()),
        delete_job=True,
        again=2.0,
    ),
    row(
        "one of several nodes likewise",
        observed(deleted(spec=TWO), job(), running_pod(), running_pod("cats-1-abcde")),
        delete_job=True,
    ),
    row(
        "one that is suspended likewise",
        observed(deleted(spec=CALLBACK | {"suspend": True}), job(suspended=True)),
        delete_job=True,
    ),
    row(
        "its Job is deleted once",
        observed(deleted(), job(deleting=True), running_pod(ends_by=SOON)),
        again=2.0,
    ),
    row(
        "its pod has its time to save a checkpoint",
        observed(deleted(), None, running_pod(ends_by=SOON)),
        again=2.0,
    ),
    row(
        "that time is the pod's own, also where it is longer than usual",
        observed(deleted(at="2026-01-01T11:50:00Z"), None, running_pod(ends_by=SOON)),
        again=2.0,
    ),
    row("once its pods have ended it is cancelled", observed(deleted(), None, pod(phase="Failed")), **CANCELLED),
    row("without a pod it is cancelled at once", observed(deleted(), None), **CANCELLED),
    row(
        "a pod that never ends, for its node is lost, holds it no longer than its time and a little more",
        observed(deleted(at=HOUR_AGO), None, running_pod(ends_by="2026-01-01T11:01:00Z")),
        **CANCELLED,
    ),
    row(
        "a Job that is somebody else's is not touched",
        observed(deleted(), job(owner_uid="")),
        **CANCELLED,
    ),
    row(
        "one that was deleted before it began is cancelled without a Job",
        observed(deleted(was_pending(c.OLD_JOB_REMAINS)), None),
        **CANCELLED,
    ),
    row(
        "without a callback nobody waits for its end, and the garbage collector does all",
        observed(deleted(None, "other.dev/x", spec=None), None),
    ),
    row(
        "another's finalizer does not keep its pods running",
        observed(deleted(None, "other.dev/x", spec=None), job(), running_pod()),
        delete_job=True,
    ),
    row(
        "a training that was complete before is complete",
        observed(deleted(was_running(model=MODEL)), job(complete=True, finished_at=HOUR_AGO)),
        phase="Complete",
        reason=c.TRAINING_SUCCEEDED,
    ),
    row(
        "a training that had failed before failed",
        observed(deleted(), job(**LIMIT), pod(phase="Failed", exit_code=1)),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        event="Warning",
    ),
    row(
        "of several nodes a failure that would have been tried again is the cancelling's",
        observed(deleted(spec=TWO), job(**LIMIT), pod("cats-1-abcde", phase="Failed", exit_code=1)),
        delete_job=True,
    ),
    row(
        "of one that is deleted no Job is made anew",
        observed(deleted(was_pending(c.RETRYING), "other.dev/x", spec=None), None),
    ),
]

WORD = [
    row(
        "success is told once the Job stands still",
        observed(trainingjob(CALLBACK, was_complete()), job(complete=True)),
        callback="succeeded",
    ),
    row("failure is told", observed(trainingjob(CALLBACK, was_failed())), callback="failed"),
    row("cancelling is told", observed(deleted(was_failed(reason=c.CANCELLED))), callback="cancelled"),
    row(
        "an end before the deletion is told as it was",
        observed(deleted(was_failed())),
        callback="failed",
    ),
    row(
        "there is no last word before the end",
        observed(trainingjob(CALLBACK, was_running(), {"finalizers": [c.FINALIZER]}), job(), running_pod()),
        conditions={c.STALLED: f"True/{c.NO_PROGRESS}"},
        event=f"Warning/{c.NO_PROGRESS}",
    ),
    row(
        "what was not heard is said again",
        observed(trainingjob(CALLBACK, was_failed(RETRYING))),
        callback="failed",
    ),
    row(
        "of a deleted one it is said for ten minutes",
        observed(deleted(was_failed(RETRYING, reason=c.CANCELLED), at="2026-01-01T11:50:01Z")),
        callback="cancelled",
    ),
    row(
        "and then given up",
        observed(deleted(was_failed(RETRYING, reason=c.CANCELLED), at="2026-01-01T11:49:59Z")),
        callback="cancelled",
        give_up=True,
    ),
    row(
        "it is tried once, however late",
        observed(deleted(was_failed(reason=c.CANCELLED), at="2026-01-01T01:00:00Z")),
        callback="cancelled",
    ),
    *(
        row(
            f"the finalizer goes once the last word was {word}",
            observed(deleted(was_failed(how, reason=c.CANCELLED), c.FINALIZER, "other.dev/x")),
            finalizer="removed",
        )
        for word, how in (("heard", DELIVERED), ("refused", REFUSED), ("given up", GIVEN_UP))
    ),
    row(
        "it goes also where nobody deleted it",
        observed(trainingjob(CALLBACK, was_complete(DELIVERED), {"finalizers": [c.FINALIZER]})),
        finalizer="removed",
    ),
    row(
        "then nothing is left to do",
        observed(trainingjob(CALLBACK, was_complete(DELIVERED))),
        again=False,
    ),
    row(
        "a deleted one that another's finalizer holds is left alone",
        observed(deleted(was_complete(DELIVERED), "other.dev/x")),
        again=False,
    ),
]

TTL = {"ttlSecondsAfterFinished": 600}
GOING = [
    row("an ended one goes when its time is over", observed(trainingjob(TTL, was_complete())), delete=True),
    row(
        "not before its callback was told",
        observed(trainingjob(TTL | CALLBACK, was_complete())),
        callback="succeeded",
    ),
    row(
        "and not before its finalizer is gone",
        observed(trainingjob(TTL | CALLBACK, was_complete(DELIVERED), {"finalizers": [c.FINALIZER]})),
        finalizer="removed",
    ),
    row(
        "its Job ends first",
        observed(trainingjob(TTL, was_failed(reason=c.PENDING_DEADLINE_EXCEEDED)), job(), pod(node="")),
        delete_job=True,
    ),
    row(
        "before its time it is looked at again then",
        observed(trainingjob(TTL, was_complete(completionTime="2026-01-01T11:59:00Z"))),
        again=540.0,
    ),
    row(
        "one that somebody deleted already is not deleted twice",
        observed(deleted(was_complete(), "other.dev/x", spec=TTL)),
    ),
    row("an unfinished one stays", observed(trainingjob({"ttlSecondsAfterFinished": 0})), create=True),
]


@pytest.mark.parametrize(("seen", "expected"), CANCEL + WORD + GOING)
def test_the_last_things(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))


@pytest.mark.parametrize(("days", "given_up"), [(0, False), (2, True)])
def test_a_last_word_that_nobody_takes_is_given_up_after_its_time(days: int, given_up: bool) -> None:
    seen = observed(trainingjob(CALLBACK, was_failed(RETRYING)))
    told = plan(seen, settings(), NOW + timedelta(days=days)).callback
    assert told is not None
    assert told.give_up is given_up


def test_the_last_word_is_the_sentence_of_the_condition() -> None:
    told = decide(observed(trainingjob(CALLBACK, was_failed()))).callback
    assert told is not None
    assert told.message == "Why."
