"""Derive phase, reason and conditions from observed state. Pure.

Each case has its module: completion, retries (a failed Job), suspension, deadlines, limits (too many evictions), sidecars (the
trainer ended before its pod), stalled, and active_job (Running or Pending).
"""

from datetime import datetime

from vott_operator.decisions import active_job, completion, deadlines, limits, retries, sidecars, stalled, suspension
from vott_operator.decisions.observed import JobState, Observed
from vott_operator.decisions.phase_result import PhaseResult
from vott_operator.settings.trainer import TrainerSettings


def derive_phase(observed: Observed, settings: TrainerSettings, now: datetime) -> PhaseResult | None:
    """The phase to show now; None while there is no Job, or nothing worth a write (a pod that is merely starting)."""
    job = observed.job
    if job is None:
        return None
    if job.complete:
        return completion.complete(observed.trainingjob, job.finished_at, now)
    if (succeeded := sidecars.succeeded(observed, job, now)) is not None:
        return succeeded
    if job.failed_reason:
        result = retries.after_failed_job(observed, job)
        is_retried = result.replace_job and not job.suspended
        return (_exceeded(observed, job, settings, now) if is_retried else None) or result
    if job.suspended:
        return suspension.suspended(observed.trainingjob)
    if job.ending or job.resuming or job.start_time is None:
        return None  # the Job controller is about to update the Job's status
    return (
        retries.decided_before(observed, job)
        or retries.after_unseen_failure(observed, job)
        or sidecars.waiting(observed)
        or _exceeded(observed, job, settings, now)
        or retries.on_another_node(observed, job)
        or _active(observed, job, settings, now)
    )


def _exceeded(observed: Observed, job: JobState, settings: TrainerSettings, now: datetime) -> PhaseResult | None:
    interrupted = limits.exceeded(observed, settings.interruption_limit)
    return interrupted or deadlines.exceeded(observed, job, settings, now)


def _active(observed: Observed, job: JobState, settings: TrainerSettings, now: datetime) -> PhaseResult | None:
    result = active_job.active(observed, job, now)
    seconds = settings.restart_stalled_after_seconds
    if result is not None and stalled.is_hung(observed, result, seconds, now):
        return retries.after_hang(observed, job, seconds)
    return result
