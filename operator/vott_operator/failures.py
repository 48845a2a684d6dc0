"""Why a training waits or failed: states of pods and Jobs become a reason and one sentence with the remedy."""

import json
import re
from typing import NamedTuple

from . import constants as c
from .observed import JobState, PodState

REASON_PATTERN = re.compile(r"^[A-Z][A-Za-z0-9]{0,62}$")
IMAGE_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
)
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
DEADLINE_REASON = "DeadlineExceeded"


class Explanation(NamedTuple):
    """A reason (one CamelCase word) and one sentence: the cause and the remedy."""

    reason: str
    message: str


def explain_waiting(pod: PodState) -> Explanation | None:
    """Why a pod that should run does not; None when it is merely starting."""
    if pod.unschedulable:
        return Explanation(
            c.UNSCHEDULABLE,
            f"No node can take the pod: {pod.unschedulable} It starts by itself once a node has room; "
            "see `kubectl describe nodes` for what is free, or add a node to the GPU pool.",
        )
    if pod.waiting_reason in IMAGE_REASONS:
        return Explanation(
            c.IMAGE_PULL_FAILED,
            f"The trainer image {pod.image or '(unnamed)'} can't be pulled ({pod.waiting_reason}: {pod.waiting_message}). "
            "Check its name and the node's access to the registry.",
        )
    if pod.waiting_reason in CONFIG_REASONS:
        return Explanation(
            c.CONTAINER_CONFIG_ERROR,
            f"The trainer container can't be created ({pod.waiting_reason}: {pod.waiting_message}). See `kubectl describe pod {pod.name}`.",
        )
    return None


def explain_missing_secret(name: str, namespace: str) -> Explanation:
    """A pod whose Secret is not there waits without a word of its own."""
    return Explanation(
        c.CONTAINER_CONFIG_ERROR,
        f"The Secret {name}, which spec.urlSecretRef names, is not there. Make it in namespace {namespace}, or delete this TrainingJob.",
    )


def explain_no_pod(job: JobState, namespace: str) -> Explanation:
    """A Job that can't make a pod says so in its Events only."""
    return Explanation(
        c.POD_NOT_CREATED,
        "The Job has made no pod yet: a quota, a missing ServiceAccount or Pod Security may refuse it; "
        f"see `kubectl describe job -n {namespace} {job.name}`.",
    )


def explain_failure(job: JobState, pods: tuple[PodState, ...], namespace: str) -> Explanation:
    """Why a Job failed for good."""
    if job.failed_reason == DEADLINE_REASON:
        return Explanation(
            c.DEADLINE_EXCEEDED,
            "The training was not complete within spec.activeDeadlineSeconds. Raise it, or lower the number of epochs.",
        )
    last = last_failed(pods)
    if last is None:
        return Explanation(
            job.failed_reason or c.TRAINER_FAILED,
            f"The Job failed: {job.failed_message or 'no reason was given'}. Its pods are gone; "
            f"see `kubectl describe job -n {namespace} {job.name}`.",
        )
    cause = explain_pod(last, namespace)
    if job.failed_reason != c.BACKOFF_LIMIT_EXCEEDED or job.failed_pods < 2:
        return cause
    return Explanation(cause.reason, f"{cause.message} Tried {job.failed_pods} times (spec.backoffLimit).")


def explain_pod(pod: PodState, namespace: str) -> Explanation:
    """Why one pod failed."""
    if pod.terminated_reason == c.OOM_KILLED:
        return Explanation(
            c.OOM_KILLED,
            "The trainer used more memory than its limit. Raise spec.trainer.resources.limits.memory, or lower batchSize.",
        )
    if pod.reason == c.EVICTED:
        return Explanation(
            c.EVICTED,
            f"The node evicted the pod: {pod.message or 'it gave no reason'} "
            "Where it used too much disk, raise the operator's setting trainer.workVolume.",
        )
    told = _trainers_own_words(pod.termination_message)
    if told is not None:
        return told
    code = "for an unknown reason" if pod.exit_code is None else f"with exit code {pod.exit_code}"
    return Explanation(c.TRAINER_FAILED, f"The trainer ended {code}; see `kubectl logs -n {namespace} {pod.name}`.")


def last_failed(pods: tuple[PodState, ...]) -> PodState | None:
    """The youngest pod that failed."""
    return max((pod for pod in pods if pod.phase == "Failed"), key=lambda pod: pod.created, default=None)


def _trainers_own_words(termination_message: str) -> Explanation | None:
    """The JSON that the trainer left in its termination message (docs/trainer-contract.md), when it is one."""
    try:
        told = json.loads(termination_message)
        reason, message = told["reason"], told["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not (isinstance(reason, str) and REASON_PATTERN.match(reason) and isinstance(message, str) and message.strip()):
        return None
    return Explanation(reason, message)
