"""Reasons and messages of a training that waits, was interrupted or is retried, with the remedy. Pure.

Those of a training that ended are in failure_messages.py and completion.py.
"""

import re

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.status import Checkpoint
from vott_operator.decisions.observed import JobState, PodState

QUOTA_PATTERN = re.compile(r"exceeded quota: (?P<name>[^,]+)")
IMAGE_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
)
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
DISRUPTIONS = {
    "PreemptionByScheduler": "preempted by a pod of higher priority",
    "DeletionByTaintManager": "deleted because it does not tolerate a taint of its node",
    "EvictionByEvictionAPI": "evicted, for example by a drain of its node",
    "DeletionByPodGC": "lost with its node",
    "TerminationByKubelet": "terminated by its node, which shuts down or lacks a resource",
}


# ---------------------------------------------------------------------------------------------------------- waiting pods


def explain_waiting_pod(pod: PodState) -> Explanation | None:
    """Why a pod does not run; None if it is merely starting."""
    if pod.unschedulable:
        return Explanation(
            c.UNSCHEDULABLE,
            f"No node can take the pod: {pod.unschedulable} It starts once a node has capacity; "
            "see `kubectl describe nodes`, or add a GPU node.",
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


def explain_starting_pod(pod: PodState) -> Explanation:
    """The pod has its node, and starts."""
    return Explanation(c.POD_STARTING, f"Pod {pod.name} starts on node {pod.node}.")


def explain_waiting_for_pods(running: int, nodes: int) -> Explanation:
    """Several nodes: not all pods run."""
    return Explanation(c.WAITING_FOR_PODS, f"{running} of {nodes} pods run and wait for the others.")


def explain_missing_secret(name: str, namespace: str) -> Explanation:
    """The Secret with the URLs does not exist. The pod itself shows no reason."""
    return Explanation(
        c.CONTAINER_CONFIG_ERROR,
        f"Secret {name} (spec.urlSecretRef) does not exist. Create it in namespace {namespace}, or delete this TrainingJob.",
    )


def explain_missing_keys(name: str, keys: tuple[str, ...], namespace: str) -> Explanation:
    """The Secret with the URLs lacks keys that the pod mounts. The pod itself shows no reason."""
    return Explanation(
        c.CONTAINER_CONFIG_ERROR,
        f"Secret {name} (spec.urlSecretRef) lacks {', '.join(keys)}: it needs a key for each URL of the spec."
        f" Add it in namespace {namespace}, or delete this TrainingJob.",
    )


# --------------------------------------------------------------------------------------------------- waiting for the Job


def explain_no_pod(job: JobState, error: str, namespace: str) -> Explanation:
    """The Job can't create a pod; `error` is the message of its newest Event, if it has one."""
    cause = error.removeprefix("Error creating: ").rstrip(". ")
    if quota := QUOTA_PATTERN.search(cause):
        return Explanation(
            c.QUOTA_EXCEEDED,
            f"A quota rejects the pod ({cause}). It starts once other pods end; or raise ResourceQuota {quota['name']}.",
        )
    text = f"can't create a pod: {cause}" if cause else "has not created a pod yet, and its Events give no cause"
    return Explanation(
        c.POD_NOT_CREATED, f"The Job {text}. It keeps trying; see `kubectl describe job -n {namespace} {job.name}`."
    )


def explain_refused_job(answer: str) -> Explanation:
    """The API server forbids the Job itself (403); the operator retries."""
    cause = answer.rstrip(". ")
    if quota := QUOTA_PATTERN.search(cause):
        return Explanation(
            c.QUOTA_EXCEEDED,
            f"A quota rejects the Job ({cause}). The operator retries; or raise ResourceQuota {quota['name']}.",
        )
    return Explanation(
        c.JOB_NOT_CREATED,
        f"The API server forbids the Job ({cause}). The operator retries; an administrator must allow it.",
    )


def explain_old_job(job: JobState) -> Explanation:
    """The Job of an earlier TrainingJob of this name still exists."""
    return Explanation(
        c.OLD_JOB_REMAINS,
        f"Job {job.name} of an earlier TrainingJob of this name still exists; the operator waits. Delete it if it stays.",
    )


def explain_ending_pod(pod: PodState) -> Explanation:
    """A pod of an earlier Job still ends."""
    return Explanation(
        c.OLD_JOB_REMAINS,
        f"Pod {pod.name} of an earlier Job is still ending; the operator waits, so that no two train at once.",
    )


def explain_name_taken(reason: str, kind: str, name: str) -> Explanation:
    """An object that the TrainingJob needs exists, and is not its own."""
    return Explanation(
        reason, f"{kind} {name} exists and does not belong to this TrainingJob. Delete it, or use another name."
    )


def explain_suspended(local_queue: str | None, namespace: str) -> Explanation:
    """The training is suspended, by Kueue if a LocalQueue is given."""
    if not local_queue:
        return Explanation(c.JOB_SUSPENDED, "The training is suspended; it resumes when spec.suspend is false.")
    return Explanation(
        c.WAITING_FOR_QUOTA,
        f"Kueue holds the training until LocalQueue {local_queue} has quota; see `kubectl get workloads -n {namespace}`.",
    )


# -------------------------------------------------------------------------------------------- interruptions and retries


def explain_lost_node(pod: PodState) -> Explanation:
    """A deleted pod has not ended in time: its node does not respond."""
    return Explanation(
        c.NODE_LOST,
        f"Pod {pod.name} should have ended by {pod.ends_by}, but node {pod.node} does not respond. Another pod takes over once it does, "
        f"or once the node is deleted: see `kubectl describe node {pod.node}`, and delete it if it is gone.",
    )


def explain_interruption(pod: PodState | None, checkpoint: Checkpoint | None) -> Explanation:
    """A pod stopped, but not by an error of the training; `pod` is None if it left no trace."""
    disruption = DISRUPTIONS.get(pod.disruption, pod.disruption or "stopped") if pod else ""
    cause = f"Pod {pod.name} was {disruption}" if pod else "The pod was deleted or lost"
    resume = f" and resumes from epoch {checkpoint.epoch}" if checkpoint else ""
    return Explanation(
        c.INTERRUPTED, f"{cause}; another pod takes over{resume}. This does not count against spec.backoffLimit."
    )


def explain_retry(attempt: int, backoff_limit: int, cause: str) -> Explanation:
    """The training failed, and attempt number `attempt` follows."""
    return Explanation(c.RETRYING, f"Attempt {attempt} of {backoff_limit + 1} follows. Last failure: {cause}")
