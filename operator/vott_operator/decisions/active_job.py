"""Phase while the Job is active: Running, or Pending with the reason to wait. Pure."""

from datetime import datetime

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate, Explanation
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions import retries, suspension
from vott_operator.decisions.condition_messages import (
    explain_ending_pod,
    explain_lost_node,
    explain_starting_pod,
    explain_waiting_for_pods,
)
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.decisions.phase_result import PhaseResult, pending
from vott_operator.decisions.pod_timing import START_GRACE, is_lost
from vott_operator.decisions.waiting import explain_wait

WAITING_REASONS = (
    c.UNSCHEDULABLE,
    c.QUOTA_EXCEEDED,
    c.IMAGE_PULL_FAILED,
    c.CONTAINER_CONFIG_ERROR,
    c.FAILED_MOUNT,
    c.POD_NOT_STARTED,
    c.POD_NOT_CREATED,
    c.JOB_NOT_CREATED,
    c.OLD_JOB_REMAINS,
    c.WAITING_FOR_PODS,
)
"""Replaced by PodStarting once they no longer hold."""
KEPT_REASONS = (c.RETRYING, c.INTERRUPTED, c.POD_REJECTED, c.OLD_JOB_REMAINS)
"""Better reasons than that pods still end."""


def active(observed: Observed, job: JobState, now: datetime) -> PhaseResult | None:
    """Running once all pods run; else Pending with the reason, or None while the pods are merely starting."""
    resumed = suspension.resumed_condition(observed.trainingjob)
    lost = next((explain_lost_node(pod) for pod in observed.job_pods if is_lost(pod, now)), None)
    nodes = observed.trainingjob.spec.trainer.nodes
    running = {pod.index: pod for pod in observed.job_pods if pod.active and pod.running}
    if len(running) == nodes:
        message = f"Pod {running[0].name} is training." if nodes == 1 else f"All {nodes} pods are training."
        condition = ConditionUpdate(c.RUNNING, "True", c.TRAINER_RUNNING, message)
        return PhaseResult(c.RUNNING, c.TRAINER_RUNNING, (condition, *resumed))
    pod = observed.starting_pod
    active_indexes = {pod.index for pod in observed.job_pods if pod.active}
    if nodes > 1 and lost is None and any(pod.index not in active_indexes for pod in observed.job_pods):
        return None  # one pod ended: the Job ends the others, and then shows why
    waiting = lost or explain_wait(observed, job, pod, now)
    if nodes > 1 and running:
        waiting = _with_running_count(waiting, pod, len(running), nodes, now)
    explanation = waiting or retries.explain_next_pod(observed, job)
    if explanation is not None:
        return pending(explanation, *resumed)
    if resumed:
        condition = ConditionUpdate(c.RUNNING, "False", c.RESUMED, "The Job was resumed; its pod starts.")
        return PhaseResult(c.PENDING, "", (condition, *resumed))
    return _no_longer_waiting(observed.trainingjob, pod)


def ending_pods(observed: Observed, now: datetime) -> PhaseResult | None:
    """Pending while pods of an earlier Job still end; None if the status has a better reason already."""
    pod = next(pod for pod in observed.pods if not pod.finished)
    if is_lost(pod, now):
        return pending(explain_lost_node(pod))
    running = observed.trainingjob.condition(c.RUNNING)
    if running is not None and running.reason in KEPT_REASONS:
        return None
    return pending(explain_ending_pod(pod))


def _with_running_count(
    explanation: Explanation | None, pod: PodState | None, running: int, nodes: int, now: datetime
) -> Explanation | None:
    waiting = explain_waiting_for_pods(running, nodes)
    if explanation is not None:
        return Explanation(explanation.reason, f"{waiting.message} {explanation.message}")
    merely_starting = pod is not None and now - parse_timestamp(pod.created, now) < START_GRACE
    return None if merely_starting else waiting


def _no_longer_waiting(trainingjob: TrainingJob, pod: PodState | None) -> PhaseResult | None:
    """Replace a reason that no longer holds, while the pod pulls its image."""
    if pod is None or not pod.node or trainingjob.status.reason not in WAITING_REASONS:
        return None
    return pending(explain_starting_pod(pod))
