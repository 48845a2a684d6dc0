"""Pods whose trainer has ended while other containers still run, for example the proxy of a service mesh. Pure.

Kubernetes ends neither the pod nor the Job then. The trainer's exit decides all the same.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.times import parse_timestamp
from vott_operator.decisions import completion
from vott_operator.decisions.condition_messages import explain_remaining_containers
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.decisions.phase_result import PhaseResult

GRACE = timedelta(seconds=30)
"""How long the other containers may take to end after the trainer."""
RECHECK = timedelta(seconds=10)


def with_ended_trainers(observed: Observed, now: datetime) -> Observed:
    """The state in which a pod counts as failed if its trainer failed and its other containers have had time to end."""
    pods = tuple(
        replace(pod, phase="Failed") if pod.remaining and pod.exit_code and _is_overdue(pod, now) else pod
        for pod in observed.pods
    )
    return observed if pods == observed.pods else replace(observed, pods=pods)


def failed_beside(observed: Observed) -> tuple[PodState, ...]:
    """Failed pods, in the state of `with_ended_trainers`, whose failure the Job does not see."""
    return tuple(pod for pod in observed.job_pods if pod.phase == "Failed" and pod.remaining)


def succeeded(observed: Observed, job: JobState, now: datetime) -> PhaseResult | None:
    """Complete although the Job is not: the first pod's trainer ended with 0, its other containers did not, or failed."""
    pod = next((pod for pod in observed.job_pods if pod.index == 0 and pod.exit_code == 0 and _is_unseen(pod)), None)
    if pod is None or job.complete or not (pod.finished or _is_overdue(pod, now)):
        return None
    return completion.complete(observed.trainingjob, pod.finished_at, now)


def waiting(observed: Observed) -> PhaseResult | None:
    """Running, with the containers that the pod waits for."""
    ended = (pod for pod in observed.job_pods if pod.remaining and not pod.deleting)
    pod = next((pod for pod in ended if pod.index == 0 or pod.exit_code != 0), None)
    if pod is None:
        return None
    reason, message = explain_remaining_containers(pod)
    return PhaseResult(c.RUNNING, reason, (ConditionUpdate(c.RUNNING, "True", reason, message),))


def next_check(observed: Observed, now: datetime) -> datetime | None:
    """When to look again at a pod whose trainer has ended; None if there is none."""
    ends = [_end(pod, now) for pod in observed.job_pods if pod.remaining]
    return max(min(ends), now + RECHECK) if ends else None


def _is_unseen(pod: PodState) -> bool:
    return pod.phase == "Failed" or bool(pod.remaining)


def _is_overdue(pod: PodState, now: datetime) -> bool:
    return pod.deleting or now >= _end(pod, now)


def _end(pod: PodState, now: datetime) -> datetime:
    return parse_timestamp(pod.finished_at, now) + GRACE
