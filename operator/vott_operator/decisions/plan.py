"""What to do next for one TrainingJob: `plan(observed, now) -> Plan`. Pure: no clock, no client, no kopf.

It is level-triggered: whatever event came, the plan follows from what is true now, so running it once more is harmless.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.times import moment
from vott_operator.decisions import announcements, stalled, ttl
from vott_operator.decisions.evidence import is_lost, pod_due, starting_since
from vott_operator.decisions.explanations import Explanation
from vott_operator.decisions.notes import CallbackNote, EventNote
from vott_operator.decisions.observed import JobState, Observed
from vott_operator.decisions.phase import Verdict, cancelled, ending_pods, failed, judge, node_due, pending, suspended
from vott_operator.decisions.refused_urls import explain_refused
from vott_operator.decisions.status_patch import condition_patch, status_patch
from vott_operator.errors import PodTemplateError
from vott_operator.objects.job import job_manifest, service_manifest
from vott_operator.settings.operator import Settings

OLD_JOB_RECHECK_SECONDS = 2.0
FIRST_LOOK, LONGEST_LOOK = timedelta(seconds=16), timedelta(minutes=5)
FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(seconds=10), timedelta(minutes=6)
"""Of Jobs that take another's place: as a Job's own for its pods."""
MODEL_RECHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are applied. Nothing set means that all is as it should be."""

    add_finalizer: bool = False
    create_service: dict[str, Any] | None = None
    create_job: dict[str, Any] | None = None
    suspend_job: bool | None = None
    events: tuple[EventNote, ...] = ()
    status: dict[str, Any] | None = None
    delete_job: bool = False
    remove_finalizer: bool = False
    delete: bool = False
    """The TrainingJob itself, and with it all that it owns."""
    callback: CallbackNote | None = None
    requeue_seconds: float | None = None


def plan(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Decide. `now` is in UTC."""
    trainingjob, job = observed.trainingjob, observed.job
    if trainingjob.finished:
        return _ended(observed, settings, now)
    if trainingjob.deleting:
        return _cancel(observed, settings, now)
    if trainingjob.spec.callback is not None and c.FINALIZER not in trainingjob.metadata.finalizers:
        return Plan(add_finalizer=True, requeue_seconds=0.0)
    if job is None:
        return _without_job(observed, settings, now)
    if job.owner_uid != trainingjob.metadata.uid:
        return _foreign_job(observed, job, now)
    if job.deleting and not job.over:
        return Plan(requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    return _follow(observed, job, settings, now)


# ------------------------------------------------------------------------------------------------- from Job to its end


def _without_job(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Make the Job, once no pod of an earlier one is left."""
    trainingjob = observed.trainingjob
    if trainingjob.spec.suspend and _kueue_manages(observed):
        return _say(observed, suspended(trainingjob), now)
    if any(not pod.over for pod in observed.pods):
        return Plan(
            status=status_patch(observed, ending_pods(observed, now), now), requeue_seconds=OLD_JOB_RECHECK_SECONDS
        )
    if (why := explain_refused(trainingjob, settings)) is not None:
        return _say(observed, failed(why), now)
    try:
        job = job_manifest(trainingjob, settings.pod_settings)
    except PodTemplateError as error:
        return _say(observed, failed(Explanation(c.INVALID_SPEC, str(error))), now)
    _shorten_deadline(job["spec"], observed, now)
    return Plan(create_service=service_manifest(trainingjob), create_job=job)


def _shorten_deadline(spec: dict[str, Any], observed: Observed, now: datetime) -> None:
    """A Job made anew has the time that the first one left."""
    status, seconds = observed.trainingjob.status, spec.get("activeDeadlineSeconds")
    if seconds is not None and status.start_time and status.phase != c.SUSPENDED:
        spent = int((now - moment(status.start_time, now)).total_seconds())
        spec["activeDeadlineSeconds"] = max(1, seconds - spent)


def _follow(observed: Observed, job: JobState, settings: Settings, now: datetime) -> Plan:
    """Say what is true of our Job, and keep it suspended or not as the spec says."""
    change = _suspend_change(observed, job)
    if change is not None:
        return Plan(suspend_job=change, requeue_seconds=0.0)
    if _kueue_manages(observed) and observed.trainingjob.spec.suspend and not job.over:
        # Kueue alone suspends its Jobs, so the training is held by having none.
        return _say(observed, suspended(observed.trainingjob), now, delete_job=True)
    verdict = judge(observed, now)
    again = _next_job_due(observed, job, now) if verdict is not None and verdict.replace_job else None
    more = stalled.findings(observed, verdict, settings.trainer.stalled_after_seconds, now) if verdict else ()
    return Plan(
        status=status_patch(observed, verdict, now, more),
        events=announcements.events(observed, verdict, more),
        delete_job=again is not None and again <= now and not job.deleting,
        requeue_seconds=max(1.0, (again - now).total_seconds())
        if again is not None
        else _recheck(observed, job, verdict, settings, now),
    )


def _next_job_due(observed: Observed, job: JobState, now: datetime) -> datetime:
    """When a Job of several nodes may be replaced: the more often that happened, the longer after its own start."""
    doublings = min(observed.trainingjob.status.restarts or 0, 10)
    backoff: timedelta = min(FIRST_BACKOFF * 2**doublings, LONGEST_BACKOFF)
    return moment(job.start_time, now) + backoff


def _say(observed: Observed, verdict: Verdict, now: datetime, *, delete_job: bool = False) -> Plan:
    status, events = status_patch(observed, verdict, now), announcements.events(observed, verdict)
    return Plan(status=status, events=events, delete_job=delete_job)


def _kueue_manages(observed: Observed) -> bool:
    return c.KUEUE_QUEUE_LABEL in observed.trainingjob.metadata.labels


def _suspend_change(observed: Observed, job: JobState) -> bool | None:
    wanted = observed.trainingjob.spec.suspend
    untouched = _kueue_manages(observed) or job.over or observed.trainingjob.deleting
    return None if untouched or job.suspended == wanted else wanted


def _recheck(
    observed: Observed, job: JobState, verdict: Verdict | None, settings: Settings, now: datetime
) -> float | None:
    """Seconds until to look again where no event may come."""
    if job.complete and verdict is None:
        return MODEL_RECHECK_SECONDS
    ending = (pod for pod in observed.job_pods if pod.deleting and not pod.over)
    times = [node_due(observed, job, now), *map(pod_due, ending), _next_look(observed, now)]
    if verdict is not None:
        times.append(stalled.due(observed, verdict, settings.trainer.stalled_after_seconds, now))
    return min(((time - now).total_seconds() for time in times if time is not None and time > now), default=None)


def _next_look(observed: Observed, now: datetime) -> datetime | None:
    """When to ask the cluster again why a pod does not start: each time it has waited twice as long."""
    since = starting_since(observed, now)
    if since is None:
        return None
    return now + min(max(now - since, FIRST_LOOK), LONGEST_LOOK)


def _foreign_job(observed: Observed, job: JobState, now: datetime) -> Plan:
    """A Job of our name that is not ours: an earlier TrainingJob's, going away, or somebody else's."""
    without_job = Observed(observed.trainingjob)
    if job.owner_uid:
        message = f"The Job {job.name} of an earlier TrainingJob of this name is still there; it is waited for. Delete it if it stays."
        waiting = pending(Explanation(c.OLD_JOB_REMAINS, message))
        return Plan(status=status_patch(without_job, waiting, now), requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    text = f"There is already a Job {job.name} that this TrainingJob does not own. Delete it, or use another name."
    return _say(without_job, failed(Explanation(c.JOB_NAME_TAKEN, text)), now)


# ---------------------------------------------------------------------------------------------------------- the ends


def _ended(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """What is left to do: end what still runs, the last word, a note that its message is gone, and in the end to delete it."""
    trainingjob, job = observed.trainingjob, observed.job
    callback = announcements.last_word(trainingjob, settings.callbacks, now)
    if job is not None and observed.owns_job and not job.over and not job.deleting:
        return Plan(delete_job=True, callback=callback)
    if callback is None and c.FINALIZER in trainingjob.metadata.finalizers:
        return Plan(remove_finalizer=True, requeue_seconds=0.0)
    left = ttl.remaining(observed, now)
    if left is None or trainingjob.deleting:
        return Plan(callback=callback)
    if callback is None and left <= timedelta(0):
        return Plan(delete=True)
    findings = ttl.unrecorded(observed)
    return Plan(
        callback=callback,
        status=condition_patch(trainingjob, findings[0], now) if findings else None,
        requeue_seconds=max(left.total_seconds(), 1.0) if callback is None else None,
    )


def _cancel(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Deleted before its end: end its pods, and once they are gone say so."""
    trainingjob, job = observed.trainingjob, observed.job
    if job is not None and observed.owns_job:
        if job.complete or (job.over and trainingjob.spec.trainer.nodes == 1):
            return _follow(observed, job, settings, now)  # it ended just before
        return Plan(delete_job=not job.deleting, requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    if c.FINALIZER not in trainingjob.metadata.finalizers:
        return Plan()
    if any(not pod.over and not is_lost(pod, now) for pod in observed.pods):
        return Plan(requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    return _say(Observed(trainingjob, message_settled=observed.message_settled), cancelled(), now)
