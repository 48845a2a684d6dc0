"""What to do next for one TrainingJob: `plan(observed, now) -> Plan`. Pure: no clock, no client, no kopf.

It is level-triggered: whatever event came, the plan follows from what is true now, so running it once more is harmless.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from . import constants as c
from . import desired, expiry
from .conditions import Finding
from .failures import Explanation
from .observed import JobState, Observed
from .settings import Settings
from .status import Verdict, condition_patch, failed, is_starting, judge, sentence, status_patch

OLD_JOB_RECHECK_SECONDS = 2.0
STARTING_RECHECK_SECONDS = 16.0
MODEL_RECHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class EventNote:
    """A Kubernetes Event about the TrainingJob."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class CallbackNote:
    """The last word to the callback URL. `give_up` says that the time for it has run out."""

    state: Literal["succeeded", "failed"]
    message: str
    give_up: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are applied. Nothing set means that all is as it should be."""

    create_job: dict[str, Any] | None = None
    suspend_job: bool | None = None
    delete: bool = False
    """The TrainingJob itself, and with it all that it owns."""
    status: dict[str, Any] | None = None
    events: tuple[EventNote, ...] = ()
    callback: CallbackNote | None = None
    requeue_seconds: float | None = None


def plan(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Decide. `now` is in UTC."""
    trainingjob, job = observed.trainingjob, observed.job
    if trainingjob.metadata.deletion_timestamp:
        return Plan()
    if trainingjob.finished:
        return _ended(observed, settings, now)
    if job is None:
        return Plan(create_job=desired.job(trainingjob, settings.trainer))
    if job.owner_uid != trainingjob.metadata.uid:
        return _foreign_job(observed, job, now)
    verdict = judge(observed, now)
    return Plan(
        suspend_job=_suspend_change(observed, job, verdict),
        status=status_patch(observed, verdict, now),
        events=_events(observed, verdict),
        requeue_seconds=_recheck(observed, job, verdict),
    )


def _ended(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Only three things are left to do for it: the last word, a note that its message is gone, and in the end to delete it."""
    callback, left = _last_word(observed, settings, now), expiry.remaining(observed, now)
    if left is None:
        return Plan(callback=callback)
    if callback is None and left <= timedelta(0):
        return Plan(delete=True)
    findings = expiry.unrecorded(observed)
    return Plan(
        callback=callback,
        status=condition_patch(observed.trainingjob, findings[0], now) if findings else None,
        requeue_seconds=max(left.total_seconds(), 1.0) if callback is None else None,
    )


def _recheck(observed: Observed, job: JobState, verdict: Verdict | None) -> float | None:
    """Seconds until to look again where no event may come."""
    if job.complete and verdict is None:
        return MODEL_RECHECK_SECONDS
    return STARTING_RECHECK_SECONDS if is_starting(observed) else None


def _foreign_job(observed: Observed, job: JobState, now: datetime) -> Plan:
    """A Job of our name that is not ours: an earlier TrainingJob's, going away, or somebody else's."""
    without_job = Observed(observed.trainingjob)
    if job.owner_uid:
        message = f"The Job {job.name} of an earlier TrainingJob of this name is still there; it is waited for. Delete it if it stays."
        finding = Finding(c.RUNNING, "False", c.OLD_JOB_REMAINS, message)
        waiting = Verdict(c.PENDING, c.OLD_JOB_REMAINS, (finding,))
        return Plan(status=status_patch(without_job, waiting, now), requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    why = Explanation(
        c.JOB_NAME_TAKEN,
        f"There is already a Job {job.name} that this TrainingJob does not own. Delete it, or use another name.",
    )
    verdict = failed(why)
    return Plan(status=status_patch(without_job, verdict, now), events=_events(without_job, verdict))


def _suspend_change(observed: Observed, job: JobState, verdict: Verdict | None) -> bool | None:
    managed_by_kueue = c.KUEUE_QUEUE_LABEL in observed.trainingjob.metadata.labels
    ended = verdict is not None and verdict.terminal
    wanted = observed.trainingjob.spec.suspend
    return None if managed_by_kueue or ended or job.suspended == wanted else wanted


def _events(observed: Observed, verdict: Verdict | None) -> tuple[EventNote, ...]:
    """An Event where the reason changes, for the ends and for what keeps a training waiting."""
    if verdict is None or not verdict.findings or observed.trainingjob.status.reason == verdict.reason:
        return ()
    if verdict.phase in (c.RUNNING, c.SUSPENDED):
        return ()
    first = verdict.findings[0]
    return (EventNote("Normal" if verdict.phase == c.COMPLETE else "Warning", first.reason, first.message),)


def _last_word(observed: Observed, settings: Settings, now: datetime) -> CallbackNote | None:
    trainingjob = observed.trainingjob
    if trainingjob.spec.callback is None:
        return None
    told = trainingjob.condition(c.CALLBACK_DELIVERED)
    if told is not None and (told.status == "True" or told.reason in (c.DELIVERY_REFUSED, c.DELIVERY_GIVEN_UP)):
        return None
    ended = datetime.fromisoformat(trainingjob.status.completion_time) if trainingjob.status.completion_time else now
    complete = any(item.type == c.COMPLETE and item.status == "True" for item in trainingjob.status.conditions)
    return CallbackNote(
        "succeeded" if complete else "failed",
        sentence(trainingjob),
        give_up=told is not None and now - ended > timedelta(seconds=settings.callbacks.give_up_after_seconds),
    )
