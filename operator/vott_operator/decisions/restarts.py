"""How often a training began anew in another pod. Pure.

Kubernetes does not count this: a Job counts only failures, and forgets the pods that a drain takes away. So the pod that
trains is recorded in the status, and another one in its place is one restart more. A suspended training has no pod in its
place, so resuming it is none.
"""

from vott_operator.decisions.observed import Observed, PodState


def training_pod(observed: Observed) -> PodState | None:
    """The pod that runs, with several nodes the first of them; None while none does."""
    running = (pod for pod in observed.job_pods if pod.index == 0 and pod.live and pod.running)
    return max(running, key=lambda pod: pod.created, default=None)


def count(observed: Observed, failures: int, *, failed: bool) -> int:
    """The restarts so far. `failures` is the status' for several nodes; `failed` says that the training ends so."""
    trainingjob, pod = observed.trainingjob, training_pod(observed)
    known, before = trainingjob.status.restarts or 0, trainingjob.status.pod_name
    if pod is None and not failed:
        return known
    replaced = known + 1 if pod is not None and before and pod.name != before else known
    # The least that it must be, also where pods came and went unseen.
    counted = failures if trainingjob.spec.trainer.nodes > 1 else observed.job.failed_pods if observed.job else 0
    return max(replaced, counted - 1 if failed else counted)
