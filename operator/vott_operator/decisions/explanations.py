"""Why a training waits or failed: states of pods and Jobs become a reason and one sentence with the remedy."""

import json
import re
from typing import NamedTuple

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import Checkpoint
from vott_operator.decisions.observed import JobState, PodState

REASON_PATTERN = re.compile(r"^[A-Z][A-Za-z0-9]{0,62}$")
QUOTA_PATTERN = re.compile(r"exceeded quota: (?P<name>[^,]+)")
RULE_PATTERN = re.compile(r"matching FailJob rule at index (\d+)")
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
POLICY_REASON = "PodFailurePolicy"
INTERRUPTION_RULE = 0
"""Index of the podFailurePolicy rule of several nodes that tells of an interruption (desired.py)."""
# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
DISRUPTIONS = {
    "PreemptionByScheduler": "preempted for a pod of higher priority",
    "DeletionByTaintManager": "removed because its node got a taint that it does not tolerate",
    "EvictionByEvictionAPI": "evicted, as by a drain of its node",
    "DeletionByPodGC": "lost with its node",
    "TerminationByKubelet": "ended by its node, which shuts down or is short of a resource",
}


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


def explain_lost(pod: PodState) -> Explanation:
    """What to say of a pod that should have ended by now: its node does not answer."""
    return Explanation(
        c.NODE_LOST,
        f"Pod {pod.name} should have ended by {pod.ends_by}, but node {pod.node} does not say that it has. Another pod takes over once it does, "
        f"or once the node is deleted: see `kubectl describe node {pod.node}`, and delete it if it is gone for good.",
    )


def explain_interruption(pod: PodState | None, checkpoint: Checkpoint | None) -> Explanation:
    """Why a pod that was not at fault runs no more, and where the next one begins."""
    if pod is None:
        cause = "The pod that ran was deleted or lost"
    else:
        cause = f"Pod {pod.name} was {DISRUPTIONS.get(pod.disruption, pod.disruption or 'stopped')}"
    where = f" and goes on from epoch {checkpoint.epoch}" if checkpoint else ""
    return Explanation(
        c.INTERRUPTED, f"{cause}; another one takes over{where}. This does not count against spec.backoffLimit."
    )


def explain_missing_secret(name: str, namespace: str) -> Explanation:
    """A pod whose Secret is not there waits without a word of its own."""
    return Explanation(
        c.CONTAINER_CONFIG_ERROR,
        f"The Secret {name}, which spec.urlSecretRef names, is not there. Make it in namespace {namespace}, or delete this TrainingJob.",
    )


def explain_missing_keys(name: str, keys: tuple[str, ...], namespace: str) -> Explanation:
    """A pod that mounts single keys of a Secret waits in the same way for one that is not there."""
    return Explanation(
        c.CONTAINER_CONFIG_ERROR,
        f"The Secret {name}, which spec.urlSecretRef names, lacks {', '.join(keys)}: it needs one key for each URL of the spec."
        f" Add it in namespace {namespace}, or delete this TrainingJob.",
    )


def explain_no_pod(job: JobState, refusal: str, namespace: str) -> Explanation:
    """A Job that can't make a pod says so in its Events only; `refusal` is the last one's text, if there is one."""
    text = refusal.removeprefix("Error creating: ").rstrip(". ")
    if quota := QUOTA_PATTERN.search(text):
        return Explanation(
            c.QUOTA_EXCEEDED,
            f"A quota refuses the pod ({text}). It starts by itself once others have ended; or raise the ResourceQuota {quota['name']}.",
        )
    cause = f"can't make a pod: {text}" if text else "has made no pod yet, and says nothing of the cause"
    return Explanation(
        c.POD_NOT_CREATED, f"The Job {cause}. It keeps trying; see `kubectl describe job -n {namespace} {job.name}`."
    )


def explain_refused_job(answer: str) -> Explanation:
    """The API server forbids the Job itself, for now."""
    if quota := QUOTA_PATTERN.search(answer):
        remedy = f"It is tried again; or raise the ResourceQuota {quota['name']}."
        return Explanation(c.QUOTA_EXCEEDED, f"A quota refuses the Job ({answer.rstrip('. ')}). {remedy}")
    return Explanation(
        c.JOB_NOT_CREATED,
        f"The API server forbids the Job ({answer.rstrip('. ')}). It is tried again; an administrator has to allow it.",
    )


def explain_failure(job: JobState, pods: tuple[PodState, ...], nodes: int, namespace: str) -> Explanation:
    """Why a Job failed for good."""
    if job.failed_reason == DEADLINE_REASON:
        return Explanation(
            c.DEADLINE_EXCEEDED,
            "The training was not complete within spec.activeDeadlineSeconds. Raise it, or lower the number of epochs.",
        )
    guilty = first_failed(pods) if nodes > 1 else last_failed(pods)
    if guilty is None:
        return Explanation(
            job.failed_reason or c.TRAINER_FAILED,
            f"The Job failed: {job.failed_message or 'no reason was given'}. Its pods are gone; "
            f"see `kubectl describe job -n {namespace} {job.name}`.",
        )
    cause = explain_pod(guilty, namespace)
    tries = job.failures + 1 if nodes > 1 else job.failed_pods
    if job.failed_reason != c.BACKOFF_LIMIT_EXCEEDED or tries < 2:
        return cause
    return Explanation(cause.reason, f"{cause.message} Tried {tries} times (spec.backoffLimit).")


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
    if pod.exit_code is None and pod.reason:
        return Explanation(
            c.POD_REJECTED,
            f"Node {pod.node or '(unnamed)'} refused the pod ({pod.reason}: {pod.message or 'no reason was given'}). "
            "See `kubectl describe node` for what the node offers; its device plugin may be at fault.",
        )
    code = "for an unknown reason" if pod.exit_code is None else f"with exit code {pod.exit_code}"
    return Explanation(c.TRAINER_FAILED, f"The trainer ended {code}; see `kubectl logs -n {namespace} {pod.name}`.")


def last_failed(pods: tuple[PodState, ...]) -> PodState | None:
    """The youngest pod that failed by itself; where there is none, the youngest that was stopped."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    return max(failed, key=lambda pod: (not pod.interrupted, pod.created), default=None)


def first_failed(pods: tuple[PodState, ...]) -> PodState | None:
    """Of several nodes' pods the one that tells why: the first to fail by itself, not for missing another."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    return min(failed, key=_innocence, default=None)


def is_interruption(job: JobState, pods: tuple[PodState, ...]) -> bool:
    """Whether a Job of several nodes failed because a pod was taken away, not by a fault of the training."""
    if any(pod.disruption for pod in pods):
        return True
    failed = [pod for pod in pods if pod.phase == "Failed"]
    if failed and all(pod.interrupted or _misses_another(pod) for pod in failed):
        return True  # the pod that they miss left no trace
    rule = RULE_PATTERN.search(job.failed_message) if job.failed_reason == POLICY_REASON else None
    return rule is not None and int(rule[1]) == INTERRUPTION_RULE


def is_permanent(job: JobState) -> bool:
    """Whether trying a failed Job of several nodes again can't help."""
    return job.failed_reason in (DEADLINE_REASON, POLICY_REASON)


def _innocence(pod: PodState) -> tuple[bool, bool, str]:
    return pod.interrupted, _misses_another(pod), pod.finished_at


def _misses_another(pod: PodState) -> bool:
    told = _trainers_own_words(pod.termination_message)
    return told is not None and told.reason == c.PEER_LOST


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
