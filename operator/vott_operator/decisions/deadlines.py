"""spec.pendingDeadlineSeconds and spec.activeDeadlineSeconds. Pure."""

from datetime import datetime, timedelta
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.times import parse_timestamp
from vott_operator.decisions.failure_messages import explain_pending_deadline
from vott_operator.decisions.observed import JobState, Observed
from vott_operator.decisions.phase_result import PhaseResult, failed
from vott_operator.decisions.pod_timing import missing_pod_since
from vott_operator.decisions.waiting import explain_wait


def pending_deadline(observed: Observed, job: JobState, now: datetime) -> datetime | None:
    """When spec.pendingDeadlineSeconds fails the training; None if it is not set, or no pod waits for a node."""
    seconds = observed.trainingjob.spec.pending_deadline_seconds
    if seconds is None or job.suspended or job.finished:
        return None
    waiting = [pod.created for pod in observed.job_pods if pod.active and not pod.node]
    since = parse_timestamp(min(waiting), now) if waiting else _without_pod_since(observed, now)
    return since + timedelta(seconds=seconds) if since is not None else None


def pending_deadline_exceeded(observed: Observed, job: JobState, now: datetime) -> PhaseResult | None:
    """Failed, if the training waited for a node longer than spec.pendingDeadlineSeconds."""
    deadline = pending_deadline(observed, job, now)
    if deadline is None or now < deadline:
        return None
    waiting = next((pod for pod in observed.job_pods if pod.active and not pod.node), None)
    cause = explain_wait(observed, job, waiting, now)
    return failed(explain_pending_deadline(observed.trainingjob.spec.pending_deadline_seconds, cause))


def shorten_active_deadline(job_spec: dict[str, Any], observed: Observed, now: datetime) -> None:
    """Reduce a new Job's activeDeadlineSeconds by the time that the training has already used."""
    status, seconds = observed.trainingjob.status, job_spec.get("activeDeadlineSeconds")
    if seconds is not None and status.start_time and status.phase != c.SUSPENDED:
        used = int((now - parse_timestamp(status.start_time, now)).total_seconds())
        job_spec["activeDeadlineSeconds"] = max(1, seconds - used)


def _without_pod_since(observed: Observed, now: datetime) -> datetime | None:
    """When the training last had a pod. After an interruption that is later than the Job's start, even if the pod left no trace."""
    since, running = missing_pod_since(observed, now), observed.trainingjob.condition(c.RUNNING)
    if since is None or running is None:
        return since
    return None if running.status == "True" else max(since, parse_timestamp(running.last_transition_time, since))
