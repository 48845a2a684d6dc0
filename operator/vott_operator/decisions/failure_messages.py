"""Reasons and messages of a training that failed, with the remedy: out of memory, evicted, deadline, exit code. Pure."""

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.decisions.failure_kind import DEADLINE_REASON, first_failed, last_failed, reported_failure
from vott_operator.decisions.observed import JobState, PodState


def explain_failure(job: JobState, pods: tuple[PodState, ...], nodes: int, namespace: str) -> Explanation:
    """Why the Job failed."""
    if job.failed_reason == DEADLINE_REASON:
        return Explanation(
            c.DEADLINE_EXCEEDED,
            "The training did not finish within spec.activeDeadlineSeconds. Raise it, or lower the number of epochs.",
        )
    culprit = first_failed(pods) if nodes > 1 else last_failed(pods)
    if culprit is None:
        return Explanation(
            job.failed_reason or c.TRAINER_FAILED,
            f"The Job failed: {job.failed_message or 'no reason given'}. Its pods are gone; "
            f"see `kubectl describe job -n {namespace} {job.name}`.",
        )
    cause = explain_failed_pod(culprit, namespace)
    attempts = job.failures + 1 if nodes > 1 else job.failed_pods
    if job.failed_reason != c.BACKOFF_LIMIT_EXCEEDED or attempts < 2:
        return cause
    return Explanation(cause.reason, f"{cause.message} Tried {attempts} times (spec.backoffLimit).")


def explain_failed_pod(pod: PodState, namespace: str) -> Explanation:
    """Why one pod failed."""
    if pod.terminated_reason == c.OOM_KILLED:
        return Explanation(
            c.OOM_KILLED,
            "The trainer exceeded its memory limit. Raise spec.trainer.resources.limits.memory, or lower batchSize.",
        )
    if pod.reason == c.EVICTED:
        return Explanation(
            c.EVICTED,
            f"The node evicted the pod: {pod.message or 'no reason given.'} "
            "If it used too much disk, raise the operator's setting trainer.workVolume.",
        )
    reported = reported_failure(pod)
    if reported is not None:
        return reported
    if pod.exit_code is None and pod.reason:
        return Explanation(
            c.POD_REJECTED,
            f"Node {pod.node or '(unnamed)'} rejected the pod ({pod.reason}: {pod.message or 'no reason given'}). "
            "See `kubectl describe node`; its device plugin may be faulty.",
        )
    code = "for an unknown reason" if pod.exit_code is None else f"with exit code {pod.exit_code}"
    return Explanation(c.TRAINER_FAILED, f"The trainer ended {code}; see `kubectl logs -n {namespace} {pod.name}`.")


def explain_pending_deadline(seconds: int | None, cause: Explanation | None) -> Explanation:
    """The training waited too long for a node."""
    text = f"The training got no node within {seconds} s (spec.pendingDeadlineSeconds)."
    return Explanation(c.PENDING_DEADLINE_EXCEEDED, f"{text} {cause.message}" if cause else text)


def explain_cancelled() -> Explanation:
    """The TrainingJob was deleted before its training ended."""
    return Explanation(c.CANCELLED, "The TrainingJob was deleted before its training ended.")
