"""Reasons and messages of a training that waits, was interrupted or is retried, with the remedy. Pure.

Those of a training that ended are in failure_messages.py and completion.py.
"""

import re

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.status import Checkpoint
from vott_operator.decisions.brief import brief, mount_failure, scheduling_cause
from vott_operator.decisions.observed import KUBELET_DISRUPTION, JobState, PodEvent, PodState
from vott_operator.decisions.pod_events import MOUNT_REASONS, PROGRESS_REASONS, PULLING

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
LACK_OF_DISK = "Insufficient ephemeral-storage"
CRASH_LOOP = "CrashLoopBackOff"
# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
DISRUPTIONS = {
    "PreemptionByScheduler": "preempted by a pod of higher priority",
    "DeletionByTaintManager": "deleted because it does not tolerate a taint of its node",
    "EvictionByEvictionAPI": "evicted, for example by a drain of its node",
    "DeletionByPodGC": "lost with its node",
    KUBELET_DISRUPTION: "terminated by its node, which shuts down or lacks a resource",
}


# ---------------------------------------------------------------------------------------------------------- waiting pods


def explain_waiting_pod(pod: PodState) -> Explanation | None:
    """Why a pod does not run; None if it is merely starting."""
    if pod.unschedulable:
        cause = scheduling_cause(pod.unschedulable)
        remedy = "lower the operator's setting trainer.workRequest" if LACK_OF_DISK in cause else "add a GPU node"
        return Explanation(
            c.UNSCHEDULABLE,
            f"No node can take the pod: {cause} It starts once a node has capacity; see `kubectl describe nodes`, or {remedy}.",
        )
    if pod.not_scheduled:
        return Explanation(
            c.POD_NOT_STARTED,
            f"The scheduler does not place pod {pod.name} ({brief(pod.not_scheduled).rstrip('. ')}). See `kubectl describe pod {pod.name}`.",
        )
    cause = f"{pod.waiting_reason}: {brief(pod.waiting_message).rstrip('. ')}"
    container = pod.waiting_container or c.TRAINER_CONTAINER
    if pod.waiting_reason in IMAGE_REASONS:
        owner = "" if container == c.TRAINER_CONTAINER else f" of container {container}"
        image = f"The {'image' if owner else 'trainer image'} {pod.image or '(unnamed)'}{owner}"
        return Explanation(
            c.IMAGE_PULL_FAILED,
            f"{image} can't be pulled ({cause}). Check its name and the node's access to the registry.",
        )
    if pod.waiting_reason in CONFIG_REASONS:
        return Explanation(
            c.CONTAINER_CONFIG_ERROR,
            f"Container {container} can't be created ({cause}). See `kubectl describe pod {pod.name}`.",
        )
    if pod.waiting_reason == CRASH_LOOP:
        return Explanation(
            c.POD_NOT_STARTED,
            f"Container {container} fails again and again ({cause}). See `kubectl logs {pod.name} -c {container}`.",
        )
    return None


def explain_slow_start(pod: PodState, event: PodEvent | None) -> Explanation | None:
    """Why a pod takes long to start, by its newest Event or its init containers; None if neither tells."""
    if event is not None and event.reason in MOUNT_REASONS:
        return Explanation(
            c.FAILED_MOUNT,
            f"A volume of pod {pod.name} can't be mounted ({mount_failure(event.message)}). The pod starts once it can be.",
        )
    if event is not None and event.reason not in PROGRESS_REASONS:
        cause = brief(event.message).rstrip(". ")
        return Explanation(
            c.POD_NOT_STARTED,
            f"Pod {pod.name} does not start on node {pod.node} ({event.reason}: {cause}). See `kubectl describe pod {pod.name}`.",
        )
    if pod.init_container:
        return Explanation(
            c.POD_NOT_STARTED,
            f"Pod {pod.name} waits for its init container {pod.init_container}. See `kubectl logs {pod.name} -c {pod.init_container}`.",
        )
    if event is not None and event.reason == PULLING:
        return Explanation(c.POD_STARTING, f"Pod {pod.name} is pulling an image on node {pod.node}.")
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


def explain_retry(attempt: int, backoff_limit: int, cause: str, avoided_node: str = "") -> Explanation:
    """The training failed, and attempt number `attempt` follows."""
    where = f", on another node than {avoided_node} if possible" if avoided_node else ""
    return Explanation(c.RETRYING, f"Attempt {attempt} of {backoff_limit + 1} follows{where}. Last failure: {cause}")


def explain_rejection(pod: PodState, avoided_node: str = "") -> Explanation:
    """A node did not accept the pod; another follows."""
    where = f", on another node than {avoided_node} if possible" if avoided_node else ""
    cause = f"{pod.reason}: {brief(pod.message).rstrip('. ') or 'no reason given'}"
    return Explanation(
        c.POD_REJECTED,
        f"Node {pod.node or '(unnamed)'} rejected the pod ({cause}); its device plugin may be faulty. Another pod follows{where}. "
        "This does not count against spec.backoffLimit.",
    )


def explain_remaining_containers(pod: PodState) -> Explanation:
    """The trainer has ended, but other containers of its pod still run."""
    names = ", ".join(pod.remaining)
    text = f"The trainer has ended, but container {names} of pod {pod.name} still runs. The operator ends the pod."
    return Explanation(c.CONTAINERS_REMAIN, text)
