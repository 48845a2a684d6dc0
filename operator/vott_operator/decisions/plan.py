"""Decide the next action for one TrainingJob: `plan(observed, settings, now) -> Plan`. Pure: no clock, no client, no kopf.

Level-triggered: whatever the event, the plan follows from the observed state alone, so repeating it is harmless.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.ended import Ended
from vott_operator.decisions import deadlines, restored, retries, sidecars, stalled, suspension, ttl
from vott_operator.decisions.active_job import ending_pods
from vott_operator.decisions.callback_deadline import is_overdue
from vott_operator.decisions.condition_messages import explain_name_taken, explain_old_job
from vott_operator.decisions.failure_messages import explain_cancelled
from vott_operator.decisions.observed import JobState, Observed
from vott_operator.decisions.outcome import Outcome, pending_outcome
from vott_operator.decisions.phase import derive_phase
from vott_operator.decisions.phase_result import PhaseResult, failed, pending
from vott_operator.decisions.pod_timing import end_deadline, is_lost, starting_since
from vott_operator.decisions.refused_urls import explain_refused_url
from vott_operator.decisions.status_patch import condition_patch, status_patch
from vott_operator.decisions.transition_events import Event, transition_events
from vott_operator.errors import PodTemplateError
from vott_operator.objects import kueue
from vott_operator.objects.job import job_manifest
from vott_operator.objects.service import service_manifest
from vott_operator.settings.operator import Settings

OLD_JOB_RECHECK_SECONDS = 2.0
MODEL_RECHECK_SECONDS = 10.0
FIRST_START_RECHECK, MAX_START_RECHECK = timedelta(seconds=16), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps, in the order in which the reconciler applies them. An empty plan means that everything is as desired."""

    add_finalizer: bool = False
    create_service: dict[str, Any] | None = None
    create_job: dict[str, Any] | None = None
    suspend_job: bool | None = None
    """New value of the Job's suspend field."""
    events: tuple[Event, ...] = ()
    status: dict[str, Any] | None = None
    """Fields to set in the status."""
    delete_job: bool = False
    record_end: Ended | None = None
    """Set the annotation vott.dev/ended, in one write with `remove_finalizer`."""
    remove_finalizer: bool = False
    delete: bool = False
    """Delete the TrainingJob, and with it everything that it owns."""
    callback: Outcome | None = None
    """The outcome that is still to be posted, by `OutcomeCallbacks`."""
    requeue_seconds: float | None = None


def plan(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Decide the next action at `now` (UTC)."""
    trainingjob, job = observed.trainingjob, observed.job
    if trainingjob.finished:
        return _finished(observed, settings, now)
    if (status := restored.restored_status(trainingjob, now)) is not None:
        return Plan(status=status)
    if trainingjob.deleting:
        return _cancel(observed, settings, now)
    if trainingjob.spec.callback is not None and c.FINALIZER not in trainingjob.metadata.finalizers:
        return Plan(add_finalizer=True, requeue_seconds=0.0)
    if job is None:
        return _create_job(observed, settings, now)
    if job.owner_uid != trainingjob.metadata.uid:
        return _other_job(observed, job, now)
    if job.deleting and not job.finished:
        return Plan(requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    return _follow_job(observed, job, settings, now)


# -------------------------------------------------------------------------------------------------- while it is unfinished


def _create_job(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Create the Job, once all pods of an earlier Job have ended."""
    trainingjob = observed.trainingjob
    if trainingjob.spec.suspend and kueue.is_managed(trainingjob):
        return _report(observed, suspension.suspended(trainingjob), now)
    if any(not pod.finished for pod in observed.pods):
        status = status_patch(observed, ending_pods(observed, now), now)
        return Plan(status=status, requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    if (refused := explain_refused_url(trainingjob, settings)) is not None:
        return _report(observed, failed(refused), now)
    try:
        job = job_manifest(trainingjob, settings.pod_settings)
    except PodTemplateError as error:
        return _report(observed, failed(Explanation(c.INVALID_SPEC, str(error))), now)
    deadlines.shorten_active_deadline(job["spec"], observed, now)
    return Plan(create_service=service_manifest(trainingjob), create_job=job)


def _follow_job(observed: Observed, job: JobState, settings: Settings, now: datetime) -> Plan:
    """Report the Job's state, and suspend or resume it as the spec demands."""
    change = suspension.suspend_change(observed, job)
    if change is not None:
        return Plan(suspend_job=change, requeue_seconds=0.0)
    trainingjob = observed.trainingjob
    if kueue.is_managed(trainingjob) and trainingjob.spec.suspend and not job.finished:
        # Only Kueue may suspend its Jobs, so spec.suspend deletes the Job.
        return _report(observed, suspension.suspended(trainingjob), now, delete_job=True)
    observed = sidecars.with_ended_trainers(observed, now)
    result = derive_phase(observed, settings.trainer, now)
    stalled_after = settings.trainer.stalled_after_seconds
    more = stalled.stalled_condition(observed, result, stalled_after, now) if result is not None else ()
    status, events = status_patch(observed, result, now, more), transition_events(observed, result, more)
    if result is not None and result.replace_job:
        next_job = retries.next_job_time(observed, job, now)
        return Plan(
            status=status,
            events=events,
            delete_job=next_job <= now and not job.deleting,
            requeue_seconds=max(1.0, (next_job - now).total_seconds()),
        )
    requeue_seconds = _recheck_seconds(observed, job, result, settings, now)
    return Plan(status=status, events=events, requeue_seconds=requeue_seconds)


def _recheck_seconds(
    observed: Observed, job: JobState, result: PhaseResult | None, settings: Settings, now: datetime
) -> float | None:
    """Time until the next check that no event may trigger."""
    if job.complete and result is None:
        return MODEL_RECHECK_SECONDS
    ending = (pod for pod in observed.job_pods if pod.deleting and not pod.finished)
    trainer = settings.trainer
    times = [
        *deadlines.deadlines(observed, job, trainer, now),
        *map(end_deadline, ending),
        _start_recheck(observed, now),
        sidecars.next_check(observed, now),
    ]
    if result is not None:
        silences = (trainer.stalled_after_seconds, trainer.restart_stalled_after_seconds)
        times += [stalled.stalled_time(observed, result, seconds, now) for seconds in silences]
    return min(((time - now).total_seconds() for time in times if time is not None and time > now), default=None)


def _start_recheck(observed: Observed, now: datetime) -> datetime | None:
    """When to check again why a pod does not start: each time after twice the wait."""
    since = starting_since(observed, now)
    return None if since is None else now + min(max(now - since, FIRST_START_RECHECK), MAX_START_RECHECK)


def _other_job(observed: Observed, job: JobState, now: datetime) -> Plan:
    """A Job with this TrainingJob's name belongs to an earlier TrainingJob, or to something else."""
    without_job = Observed(observed.trainingjob)
    if job.owner_uid:
        status = status_patch(without_job, pending(explain_old_job(job)), now)
        return Plan(status=status, requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    return _report(without_job, failed(explain_name_taken(c.JOB_NAME_TAKEN, "Job", job.name)), now)


# -------------------------------------------------------------------------------------------------------------- the end


def _finished(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """End what still runs, post the outcome, record that the message was removed, and delete the TrainingJob by its TTL."""
    trainingjob, job = observed.trainingjob, observed.job
    callback = pending_outcome(trainingjob, settings.callbacks, now)
    is_left = job is not None and observed.owns_job and not job.finished and not job.deleting
    if is_left and not is_overdue(trainingjob, now):
        return Plan(delete_job=True, callback=callback)
    remaining = ttl.remaining(observed, now)
    remove, ended = _last_writes(observed, callback, remaining, now)
    delay = restored.record_delay(trainingjob, now) if ended is not None and not remove else 0.0
    if (remove or ended is not None) and not delay:
        return Plan(record_end=ended, remove_finalizer=remove, callback=callback, requeue_seconds=0.0)
    step = _apply_ttl(observed, callback, remaining, now)
    return replace(step, requeue_seconds=min(delay, step.requeue_seconds or delay)) if delay else step


def _apply_ttl(observed: Observed, callback: Outcome | None, remaining: timedelta | None, now: datetime) -> Plan:
    """Delete the TrainingJob once its TTL has passed and its outcome was posted; until then, record that the message was removed."""
    trainingjob = observed.trainingjob
    if remaining is None or trainingjob.deleting:
        return Plan(callback=callback)
    if callback is None and remaining <= timedelta(0):
        return Plan(delete=True)
    settled = ttl.unrecorded_settlement(observed)
    return Plan(
        callback=callback,
        status=condition_patch(trainingjob, settled[0], now) if settled else None,
        requeue_seconds=max(remaining.total_seconds(), 1.0) if callback is None else None,
    )


def _last_writes(
    observed: Observed, callback: Outcome | None, remaining: timedelta | None, now: datetime
) -> tuple[bool, Ended | None]:
    """Whether to remove the finalizer, once the outcome was posted, and the end to record, in the same write if both are due.

    The record does not wait for a callback that fails: that may take a day, and a backup may be made meanwhile.
    """
    trainingjob = observed.trainingjob
    remove = callback is None and c.FINALIZER in trainingjob.metadata.finalizers
    is_due = remaining is not None and remaining <= timedelta(0)
    was_attempted = callback is None or trainingjob.condition(c.CALLBACK_DELIVERED) is not None
    record = was_attempted and not is_due and not trainingjob.deleting
    return remove, restored.unrecorded_end(observed, now) if record else None


def _cancel(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """The TrainingJob was deleted before its end: delete the Job, and report Cancelled once its pods have ended."""
    trainingjob, job = observed.trainingjob, observed.job
    overdue = is_overdue(trainingjob, now)
    if job is not None and observed.owns_job and not overdue:
        if job.complete or (
            job.finished and trainingjob.spec.trainer.nodes == 1 and not _is_retried(observed, settings, now)
        ):
            return _follow_job(observed, job, settings, now)  # the training ended before the deletion
        return Plan(delete_job=not job.deleting, requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    if c.FINALIZER not in trainingjob.metadata.finalizers:
        return Plan()
    ending = [pod for pod in observed.pods if not pod.finished and not is_lost(pod, now)]
    # A pod's own grace period counts, however long. A pod that was not even deleted does not: its Job can't be deleted.
    if any(not overdue or (pod.deleting and now <= end_deadline(pod)) for pod in ending):
        return Plan(requeue_seconds=OLD_JOB_RECHECK_SECONDS)
    without_job = Observed(trainingjob, message_settled=observed.message_settled)
    return _report(without_job, failed(explain_cancelled()), now)


def _is_retried(observed: Observed, settings: Settings, now: datetime) -> bool:
    """Whether another Job would follow the failed one."""
    result = derive_phase(observed, settings.trainer, now)
    return result is not None and result.replace_job


def _report(observed: Observed, result: PhaseResult, now: datetime, *, delete_job: bool = False) -> Plan:
    """Write the result to the status, with its Events."""
    status, events = status_patch(observed, result, now), transition_events(observed, result)
    return Plan(status=status, events=events, delete_job=delete_job)
