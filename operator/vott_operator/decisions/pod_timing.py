"""How long pods may take to start and to end, and since when one is missing. Pure."""

from datetime import datetime, timedelta

from vott_operator.api.times import parse_timestamp
from vott_operator.decisions.condition_messages import explain_waiting_pod
from vott_operator.decisions.observed import Observed, PodState

START_GRACE = timedelta(seconds=15)
"""How long a pod may start, and a Job be without a pod, before the operator looks for the cause."""
END_MARGIN = timedelta(seconds=30)
"""How long after its grace period a pod may end before its node counts as lost."""


def end_deadline(pod: PodState) -> datetime:
    """When a deleted pod must have ended."""
    return datetime.fromisoformat(pod.ends_by) + END_MARGIN


def is_lost(pod: PodState, now: datetime) -> bool:
    """Whether a deleted pod has not ended in time, so that its node counts as lost."""
    return pod.deleting and not pod.finished and bool(pod.node) and now > end_deadline(pod)


def is_slow_to_start(pod: PodState, now: datetime) -> bool:
    """Whether a pod has been starting for so long that the operator looks for the cause."""
    return now - parse_timestamp(pod.scheduled_at or pod.created, now) >= START_GRACE


def starting_since(observed: Observed, now: datetime) -> datetime | None:
    """Since when a pod has been starting, or missing, for no known reason; None if none is."""
    job = observed.job
    if job is None or job.finished or job.suspended:
        return None
    unexplained = [
        pod for pod in observed.job_pods if pod.active and not pod.running and explain_waiting_pod(pod) is None
    ]
    if unexplained:
        return parse_timestamp(min(pod.scheduled_at or pod.created for pod in unexplained), now)
    return missing_pod_since(observed, now)


def missing_pod_since(observed: Observed, now: datetime) -> datetime | None:
    """Since when the Job has fewer pods than nodes; None if it has all, or needs none now."""
    job, pods = observed.job, observed.job_pods
    if job is None or job.finished or job.suspended or job.resuming or job.deleting:
        return None
    present = {pod.index for pod in pods if not pod.finished or pod.phase == "Succeeded"}
    if len(present) >= observed.trainingjob.spec.trainer.nodes:
        return None
    times = (job.start_time, *(pod.finished_at for pod in pods if pod.finished_at))
    return max(parse_timestamp(text, now) for text in times)


def is_missing_pod(observed: Observed, now: datetime) -> bool:
    """Whether the Job has been missing a pod for so long that the operator looks for the cause."""
    since = missing_pod_since(observed, now)
    return since is not None and now - since >= START_GRACE
