"""Why a training waits for its pods: a missing Secret, a waiting pod, or a Job that can't create one. Pure."""

from datetime import datetime

from vott_operator.api.conditions import Explanation
from vott_operator.decisions.condition_messages import (
    explain_missing_keys,
    explain_missing_secret,
    explain_no_pod,
    explain_slow_start,
    explain_waiting_pod,
)
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.decisions.pod_timing import is_missing_pod, is_slow_to_start


def explain_wait(observed: Observed, job: JobState, pod: PodState | None, now: datetime) -> Explanation | None:
    """Why the training waits; `pod` is the youngest that does not run yet. None if nothing is wrong."""
    namespace = observed.trainingjob.metadata.namespace
    if observed.missing_secret:
        return explain_missing_secret(observed.missing_secret, namespace)
    if observed.missing_keys and (reference := observed.trainingjob.spec.url_secret_ref):
        return explain_missing_keys(reference.name, observed.missing_keys, namespace)
    if pod is not None:
        return explain_waiting_pod(pod) or (
            explain_slow_start(pod, observed.start_event) if is_slow_to_start(pod, now) else None
        )
    never_had_pod = not observed.job_pods and not job.failed_pods and not observed.trainingjob.was_running
    if is_missing_pod(observed, now) and (observed.pod_creation_error or never_had_pod):
        return explain_no_pod(job, observed.pod_creation_error, namespace)
    return None
