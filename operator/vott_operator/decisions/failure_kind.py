"""Classify failures: interruption or error, permanent or not, and which pod explains them. Pure."""

import re

from vott_guard.termination_message import parse_termination_message
from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.decisions.observed import JobState, PodState
from vott_operator.objects.pod_failure_policy import DISRUPTION_RULE

RULE_PATTERN = re.compile(r"matching FailJob rule at index (\d+)")
# Reasons of a Job's condition Failed.
DEADLINE_REASON = "DeadlineExceeded"
POLICY_REASON = "PodFailurePolicy"


def counted_failures(job: JobState, pods: tuple[PodState, ...]) -> int:
    """One node: the failures that count against spec.backoffLimit. A pod that its node rejected began no training."""
    return job.failures + max(0, job.failed_pods - sum(pod.rejected for pod in pods))


def last_failed(pods: tuple[PodState, ...]) -> PodState | None:
    """The youngest pod that failed by itself; if there is none, the youngest that was stopped."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    return max(failed, key=lambda pod: (not pod.interrupted, pod.created), default=None)


def first_failed(pods: tuple[PodState, ...]) -> PodState | None:
    """Several nodes: the first pod to fail by itself, and not because it lost a peer."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    return min(failed, key=lambda pod: (pod.interrupted, _lost_peer(pod), pod.finished_at), default=None)


def is_interruption(job: JobState, pods: tuple[PodState, ...]) -> bool:
    """Several nodes: whether the Job failed because a pod was taken away, and not by an error of the training."""
    if any(pod.disruption for pod in pods):
        return True
    failed = [pod for pod in pods if pod.phase == "Failed"]
    if failed and all(pod.interrupted or _lost_peer(pod) for pod in failed):
        return True  # the lost peer left no trace
    rule = RULE_PATTERN.search(job.failed_message) if job.failed_reason == POLICY_REASON else None
    return rule is not None and int(rule[1]) == DISRUPTION_RULE


def is_permanent(job: JobState) -> bool:
    """Several nodes: whether a retry of the failed Job can't help."""
    return job.failed_reason in (DEADLINE_REASON, POLICY_REASON)


def reported_failure(pod: PodState) -> Explanation | None:
    """What the trainer itself reported; None if it did not."""
    reported = parse_termination_message(pod.termination_message)
    return Explanation(*reported) if reported else None


def _lost_peer(pod: PodState) -> bool:
    reported = reported_failure(pod)
    return reported is not None and reported.reason == c.PEER_LOST
