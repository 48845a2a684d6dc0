"""What the observed amounts to, and where a look at the cluster itself is needed before something is said. Pure."""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.times import moment
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.explanations import DEADLINE_REASON, explain_waiting, last_failed
from vott_operator.decisions.observed import Observed, PodState

STARTING = timedelta(seconds=15)
"""How long a pod may start, and a Job be without one, before somebody asks why."""
ENDING_MARGIN = timedelta(seconds=30)
"""How much later than its grace period a pod may end before its node is taken for lost."""


def was_running(trainingjob: TrainingJob) -> bool:
    """Whether the last that was said of it is that it runs, or that what ran was taken away."""
    said = trainingjob.condition(c.RUNNING)
    return said is not None and (said.status == "True" or said.reason in (c.INTERRUPTED, c.NODE_LOST))


def pod_due(pod: PodState) -> datetime:
    """When a pod that somebody deleted should have ended, and a little more."""
    return datetime.fromisoformat(pod.ends_by) + ENDING_MARGIN


def is_lost(pod: PodState, now: datetime) -> bool:
    """Whether a deleted pod has not ended in time, so that its node must be taken for lost."""
    return pod.deleting and not pod.over and bool(pod.node) and now > pod_due(pod)


def starting_since(observed: Observed, now: datetime) -> datetime | None:
    """Since when a Job has yet to bring all its pods to run without a word of why not; None where it need not be looked at again."""
    job = observed.job
    if job is None or job.over or job.suspended:
        return None
    unexplained = [pod for pod in observed.job_pods if pod.live and not pod.running and explain_waiting(pod) is None]
    if unexplained:
        return moment(min(pod.created for pod in unexplained), now)
    return lacks_pods_since(observed, now)


def lacks_pods_since(observed: Observed, now: datetime) -> datetime | None:
    """Since when a Job that should have pods lacks one; None where it does not."""
    job, pods = observed.job, observed.job_pods
    if job is None or job.over or job.suspended or job.resuming or job.deleting:
        return None
    there = {pod.index for pod in pods if not pod.over or pod.phase == "Succeeded"}
    if len(there) >= observed.trainingjob.spec.trainer.nodes:
        return None
    return max(moment(text, now) for text in (job.start_time, *(pod.finished_at for pod in pods if pod.finished_at)))


def lacks_pods(observed: Observed, now: datetime) -> bool:
    """Whether a Job has lacked a pod for so long that the cause should be looked for."""
    since = lacks_pods_since(observed, now)
    return since is not None and now - since >= STARTING


def lacks_evidence(observed: Observed, now: datetime) -> bool:
    """Whether a verdict would be drawn from what was not seen.

    Watches of different kinds run ahead of each other, most of all after a start. What says that something is missing, or
    ends a training for good, should rest on a look at the cluster.
    """
    job, status = observed.job, observed.trainingjob.status
    if observed.trainingjob.finished:
        return False
    if job is None:
        may_have_pods = status.job_name or observed.pods or observed.may_have_had_job
        return bool(may_have_pods) and all(pod.over for pod in observed.pods)
    if job.suspended:
        return False
    if job.complete:
        return status.model is None
    if job.failed_reason:
        return job.failed_reason != DEADLINE_REASON and last_failed(observed.job_pods) is None
    return not observed.job_pods and (lacks_pods(observed, now) or bool(status.pod_name))


def may_lack_secret(observed: Observed, now: datetime) -> bool:
    """Whether a pod has been starting for so long that its Secret may be missing."""
    starting = (pod for pod in observed.job_pods if pod.live and not pod.running)
    pod = max(starting, key=lambda pod: pod.created, default=None)
    if pod is None or observed.trainingjob.spec.url_secret_ref is None:
        return False
    return explain_waiting(pod) is None and now - moment(pod.created, now) >= STARTING
