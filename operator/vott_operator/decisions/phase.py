"""Derive phase, reason and conditions from observed state. Pure.

Each case has its module: completion, retries (a failed Job), suspension, deadlines, and active_job (Running or Pending).
"""

from datetime import datetime

from vott_operator.decisions import active_job, completion, deadlines, retries, suspension
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult


def derive_phase(observed: Observed, now: datetime) -> PhaseResult | None:
    """The phase to show now; None while there is no Job, or nothing worth a write (a pod that is merely starting)."""
    job = observed.job
    if job is None:
        return None
    if job.complete:
        return completion.complete(observed.trainingjob, job, now)
    if job.failed_reason:
        return retries.after_failed_job(observed, job)
    if job.suspended:
        return suspension.suspended(observed.trainingjob)
    if job.ending or job.resuming or job.start_time is None:
        return None  # the Job controller is about to update the Job's status
    return deadlines.pending_deadline_exceeded(observed, job, now) or active_job.active(observed, job, now)
