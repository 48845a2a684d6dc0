"""status.restarts: how often another pod took over. Pure.

Kubernetes does not count this: a Job counts only failures, and forgets the pods that a drain removes. So the status records
the pod that trains, and each pod in its place is one restart. A suspended training has no pod, so a resume is none.
"""

from vott_operator.decisions.failure_kind import counted_failures
from vott_operator.decisions.observed import Observed, PodState


def training_pod(observed: Observed) -> PodState | None:
    """The running pod (several nodes: the first node's); None if none runs."""
    running = (pod for pod in observed.job_pods if pod.index == 0 and pod.active and pod.running)
    return max(running, key=lambda pod: pod.created, default=None)


def count(observed: Observed, failures: int, *, failed: bool) -> int:
    """The restarts so far.

    Args:
        observed: the observed state.
        failures: the failures counted so far, if the operator counts them.
        failed: whether the training fails now: no restart follows its last failure.
    """
    trainingjob, pod = observed.trainingjob, training_pod(observed)
    recorded, previous_pod = trainingjob.status.restarts or 0, trainingjob.status.pod_name
    if pod is None and not failed:
        return recorded
    is_replaced = pod is not None and bool(previous_pod) and pod.name != previous_pod
    # Pods may have come and gone unseen: the failures are a lower bound.
    at_least = failures
    if trainingjob.spec.trainer.nodes == 1 and observed.job is not None:
        at_least = max(failures, counted_failures(observed.job, observed.job_pods))
    return max(recorded + 1 if is_replaced else recorded, at_least - 1 if failed else at_least)
