"""Deadlines: spec.pendingDeadlineSeconds, spec.activeDeadlineSeconds and the setting trainer.startDeadlineSeconds. Pure.

pendingDeadlineSeconds limits any wait of a pod. startDeadlineSeconds limits only the waits that no free capacity ends, for
example for a ConfigMap that does not exist. Neither counts while an image is being pulled: that is progress, and the container
runtime itself gives up a pull that makes none.
"""

from datetime import datetime, timedelta
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.times import parse_timestamp
from vott_operator.decisions.attempts import last_was_rejected
from vott_operator.decisions.condition_messages import explain_waiting_pod
from vott_operator.decisions.failure_messages import explain_pending_deadline
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.decisions.phase_result import PhaseResult, failed
from vott_operator.decisions.pod_events import PULLING
from vott_operator.decisions.pod_timing import missing_pod_since
from vott_operator.decisions.waiting import explain_wait
from vott_operator.settings.trainer import TrainerSettings

CAPACITY_REASONS = (c.UNSCHEDULABLE, c.QUOTA_EXCEEDED, c.POD_STARTING)
"""Waits that end once other pods do."""


def deadlines(observed: Observed, job: JobState, settings: TrainerSettings, now: datetime) -> list[datetime]:
    """When to look at the deadlines again."""
    return [deadline for deadline, _ in _deadlines(observed, job, settings, now)]


def exceeded(observed: Observed, job: JobState, settings: TrainerSettings, now: datetime) -> PhaseResult | None:
    """Failed, if the training has waited too long for its pod to run."""
    for deadline, limit in _deadlines(observed, job, settings, now):
        if now >= deadline:
            return failed(explain_pending_deadline(limit, _cause(observed, job, now)))
    return None


def shorten_active_deadline(job_spec: dict[str, Any], observed: Observed, now: datetime) -> None:
    """Reduce a new Job's activeDeadlineSeconds by the time that the training has already used."""
    status, seconds = observed.trainingjob.status, job_spec.get("activeDeadlineSeconds")
    if seconds is not None and status.start_time and status.phase != c.SUSPENDED:
        used = int((now - parse_timestamp(status.start_time, now)).total_seconds())
        job_spec["activeDeadlineSeconds"] = max(1, seconds - used)


def _deadlines(
    observed: Observed, job: JobState, settings: TrainerSettings, now: datetime
) -> list[tuple[datetime, str]]:
    """The deadlines that apply now, each with its text for a message."""
    if job.suspended or (job.finished and not last_was_rejected(observed.trainingjob)) or _is_pulling(observed):
        return []
    found = []
    pending, start = observed.trainingjob.spec.pending_deadline_seconds, settings.start_deadline_seconds
    if pending is not None and (since := _waiting_since(observed, now)) is not None:
        found.append((since + timedelta(seconds=pending), f"{pending} s (spec.pendingDeadlineSeconds)"))
    if start and (since := _blocked_since(observed, job, now)) is not None:
        found.append(
            (since + timedelta(seconds=start), f"{start} s (the operator's setting trainer.startDeadlineSeconds)")
        )
    return found


def _waiting_since(observed: Observed, now: datetime) -> datetime | None:
    """Since when a pod has been waiting to run, or the training for a pod; None if nothing waits."""
    if last_was_rejected(observed.trainingjob) and not any(pod.active and pod.running for pod in observed.job_pods):
        return _not_running_since(observed, now)  # each pod lives only briefly
    waiting = [pod.created for pod in _waiting_pods(observed)]
    return parse_timestamp(min(waiting), now) if waiting else _without_pod_since(observed, now)


def _blocked_since(observed: Observed, job: JobState, now: datetime) -> datetime | None:
    """Since when something other than a lack of capacity has kept the training from running; None if nothing does."""
    cause = _cause(observed, job, now)
    if cause is None or cause.reason in CAPACITY_REASONS:
        return None
    pods = _waiting_pods(observed)
    if not pods or cause.reason == c.POD_REJECTED:
        return _waiting_since(observed, now)
    # A pod without a node waits for capacity, also behind a scheduling gate of a quota system.
    placed = [pod.scheduled_at or pod.created for pod in pods if pod.node]
    return parse_timestamp(min(placed), now) if placed else None


def _cause(observed: Observed, job: JobState, now: datetime) -> Explanation | None:
    pods = _waiting_pods(observed)
    unexplained = max(pods, key=lambda pod: (explain_waiting_pod(pod) is not None, pod.created), default=None)
    running = observed.trainingjob.condition(c.RUNNING)
    was_rejected = running is not None and running.reason == c.POD_REJECTED and last_was_rejected(observed.trainingjob)
    rejection = Explanation(running.reason, running.message) if running is not None and was_rejected else None
    return explain_wait(observed, job, unexplained, now) or rejection


def _waiting_pods(observed: Observed) -> list[PodState]:
    return [pod for pod in observed.job_pods if pod.active and not pod.running]


def _is_pulling(observed: Observed) -> bool:
    pod, event = observed.starting_pod, observed.start_event
    return pod is not None and event is not None and event.reason == PULLING and explain_waiting_pod(pod) is None


def _not_running_since(observed: Observed, default: datetime) -> datetime:
    """When the training stopped running, or was resumed after that."""
    conditions = (observed.trainingjob.condition(type_) for type_ in (c.RUNNING, c.SUSPENDED))
    times = [
        parse_timestamp(item.last_transition_time, default) for item in conditions if item and item.status == "False"
    ]
    return max(times, default=default)


def _without_pod_since(observed: Observed, now: datetime) -> datetime | None:
    """When the training last had a pod. After an interruption that is later than the Job's start, even if the pod left no trace."""
    since, running = missing_pod_since(observed, now), observed.trainingjob.condition(c.RUNNING)
    if since is None or running is None:
        return since
    return None if running.status == "True" else max(since, parse_timestamp(running.last_transition_time, since))
