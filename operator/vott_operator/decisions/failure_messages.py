"""Reasons and messages of a training that failed, with the remedy: out of memory, evicted, deadline, exit code. Pure."""

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.decisions.brief import brief
from vott_operator.decisions.failure_kind import (
    DEADLINE_REASON,
    counted_failures,
    first_failed,
    last_failed,
    reported_failure,
)
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
    attempts = job.failures + 1 if nodes > 1 else counted_failures(job, pods)
    return cause if job.failed_reason != c.BACKOFF_LIMIT_EXCEEDED else after_attempts(cause, attempts)


def after_attempts(cause: Explanation, attempts: int) -> Explanation:
    """The last of so many failures."""
    if attempts < 2:
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
    if pod.exit_code is None and pod.failed_init_container:
        container = pod.failed_init_container.partition(" ")[0]
        return Explanation(
            c.TRAINER_FAILED,
            f"The trainer did not start, because init container {pod.failed_init_container} failed; "
            f"see `kubectl logs -n {namespace} {pod.name} -c {container}`.",
        )
    if pod.exit_code is None and pod.reason:
        return Explanation(
            c.POD_REJECTED,
            f"Node {pod.node or '(unnamed)'} rejected the pod ({pod.reason}: {pod.message or 'no reason given'}). "
            f"See `kubectl describe node {pod.node}`; its device plugin may be faulty.",
        )
    code = "for an unknown reason" if pod.exit_code is None else f"with exit code {pod.exit_code}"
    return Explanation(c.TRAINER_FAILED, f"The trainer ended {code}; see `kubectl logs -n {namespace} {pod.name}`.")


def explain_too_many_evictions(limit: int, message: str) -> Explanation:
    """Nodes evicted the training again and again, and it got no further."""
    cause = brief(message) or "they lacked a resource."
    return Explanation(
        c.EVICTED,
        f"Nodes evicted the training {limit} times without it getting further: {cause} For disk, raise the operator's setting "
        "trainer.workRequest, so that fewer trainings share a node; for memory, spec.trainer.resources.requests.memory.",
    )


def explain_too_many_interruptions(limit: int, reason: str) -> Explanation:
    """Pods were interrupted again and again, and the training got no further."""
    return Explanation(
        c.INTERRUPTED,
        f"The training was interrupted {limit} times in a row without getting further (last: {reason}). Use nodes that last longer, "
        "save checkpoints more often, or raise the operator's setting trainer.interruptionLimit.",
    )


def explain_hang(seconds: int) -> Explanation:
    """The trainer ran and did not report."""
    setting = "the operator's setting trainer.restartStalledAfterSeconds"
    return Explanation(c.NO_PROGRESS, f"The trainer did not report for {seconds} s ({setting}).")


def explain_pending_deadline(limit: str, cause: Explanation | None) -> Explanation:
    """The training waited too long for its pod to run; `limit` has the seconds and where they are set."""
    text = f"The training did not start within {limit}."
    return Explanation(c.PENDING_DEADLINE_EXCEEDED, f"{text} {cause.message}" if cause else text)


def explain_cancelled() -> Explanation:
    """The TrainingJob was deleted before its training ended."""
    return Explanation(c.CANCELLED, "The TrainingJob was deleted before its training ended.")
