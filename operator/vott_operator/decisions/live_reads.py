"""When the watches are not enough, and the reconciler must read from the API server before it decides. Pure.

Watches of different kinds run ahead of each other, most of all after a start. A decision that something is missing, or that
a training has ended, must rest on a live read.
"""

from datetime import datetime

from vott_operator.decisions.condition_messages import explain_waiting_pod
from vott_operator.decisions.failure_kind import DEADLINE_REASON, last_failed
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.pod_timing import is_missing_pod, is_slow_to_start


def needs_live_read(observed: Observed, now: datetime) -> bool:
    """Whether the next decision would rest on an object that the watches have not shown."""
    job, status = observed.job, observed.trainingjob.status
    if observed.trainingjob.finished:
        return False
    if job is None:
        may_have_pods = status.job_name or observed.pods or observed.may_have_had_job
        return bool(may_have_pods) and all(pod.finished for pod in observed.pods)
    if job.suspended:
        return False
    if job.complete:
        return status.model is None
    if job.failed_reason:
        if job.failed_reason == DEADLINE_REASON:
            return False
        seen = sum(pod.phase == "Failed" and not pod.interrupted for pod in observed.job_pods)
        # One node: an unseen pod may have been rejected, which does not count.
        is_partial = observed.trainingjob.spec.trainer.nodes == 1 and seen < job.failed_pods
        return is_partial or last_failed(observed.job_pods) is None
    return not observed.job_pods and (is_missing_pod(observed, now) or bool(status.pod_name))


def may_lack_secret(observed: Observed, now: datetime) -> bool:
    """Whether a pod has been starting for so long that its Secret may be missing."""
    return observed.trainingjob.spec.url_secret_ref is not None and is_slow_without_cause(observed, now)


def is_slow_without_cause(observed: Observed, now: datetime) -> bool:
    """Whether a pod is slow to start, and does not itself show why."""
    pod = observed.starting_pod
    return pod is not None and explain_waiting_pod(pod) is None and is_slow_to_start(pod, now)
