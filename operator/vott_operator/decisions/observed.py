"""Observed state of a TrainingJob, its Job and its pods, reduced to what decisions need.

The store holds tens of thousands of these, so they are small and keep no object bodies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vott_guard import exit_codes
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob

Body = Mapping[str, Any]
KUBELET_DISRUPTION = "TerminationByKubelet"
STARTING_REASONS = ("ContainerCreating", "PodInitializing")
"""Why a container waits that nothing keeps from starting."""


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a Job, with its trainer container."""

    name: str
    phase: str
    created: str
    resource_version: str = ""
    uid: str = ""
    job_uid: str = ""
    """uid of the Job that owns it."""
    index: int = 0
    """Its completion index: the rank among several nodes."""
    node: str = ""
    """Name of its node; empty before it is scheduled."""
    ends_by: str = ""
    """Its deletionTimestamp, when its grace period ends; empty if it was not deleted."""
    disruption: str = ""
    """Reason of the condition DisruptionTarget, such as EvictionByEvictionAPI; empty if it is not True."""
    unschedulable: str = ""
    """The scheduler's message if no node can take it."""
    not_scheduled: str = ""
    """Reason and message of a pod that the scheduler does not try to place, for example SchedulingGated."""
    scheduled_at: str = ""
    """When it got its node."""
    waiting_container: str = ""
    """The container that waits, with its reason and `image`: the first that can't start, else the trainer."""
    waiting_reason: str = ""
    waiting_message: str = ""
    init_container: str = ""
    """The init container that runs now."""
    running: bool = False
    exit_code: int | None = None
    terminated_reason: str = ""
    termination_message: str = ""
    started_at: str = ""
    finished_at: str = ""
    image: str = ""
    failed_init_container: str = ""
    """The init container that ended with an error, and its exit code: `name (exit code 1)`."""
    remaining: tuple[str, ...] = ()
    """Containers that have not ended although the trainer has."""
    reason: str = ""
    """status.reason of the pod, from the kubelet, such as Evicted."""
    message: str = ""

    @property
    def deleting(self) -> bool:
        """Whether it was deleted, but still exists."""
        return bool(self.ends_by)

    @property
    def active(self) -> bool:
        """Whether its trainer runs or may still run."""
        # Between the end of the container and that of the pod, the phase is still Running.
        return not self.finished and not self.deleting and self.exit_code is None

    @property
    def finished(self) -> bool:
        """Whether its phase is terminal: no container runs or will run again."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def rejected(self) -> bool:
        """Whether its node did not accept it, so that no training began."""
        is_failed = self.phase == "Failed" and self.exit_code is None and not self.interrupted
        return is_failed and bool(self.reason) and self.reason != c.EVICTED and not self.failed_init_container

    @property
    def evicted(self) -> bool:
        """Whether its node evicted it because the node, not the pod, lacked a resource."""
        return self.reason == c.EVICTED and self.disruption == KUBELET_DISRUPTION

    @property
    def interrupted(self) -> bool:
        """Whether it ended, or is ending, without an error of its own: disrupted, deleted or stopped by SIGTERM."""
        if self.exit_code == 0:
            return False
        return bool(self.disruption) or self.deleting or self.exit_code == exit_codes.SIGTERM


@dataclass(frozen=True, slots=True)
class JobState:
    """The batch/v1 Job of a TrainingJob."""

    name: str
    owner_uid: str
    """uid of the TrainingJob that owns it; empty if none does."""
    uid: str = ""
    resource_version: str = ""
    deleting: bool = False
    suspended: bool = False
    """spec.suspend."""
    resuming: bool = False
    """It is no longer suspended, but the Job controller has not noted that yet."""
    ending: bool = False
    """The Job controller has decided its outcome, and still ends its pods."""
    failed_pods: int = 0
    """status.failed."""
    failures: int = 0
    """The failures counted before this Job was created."""
    avoided_nodes: tuple[str, ...] = ()
    """The nodes that its pods are to avoid."""
    start_time: str | None = None
    complete: bool = False
    failed_reason: str = ""
    """Reason of the condition Failed; empty if it has not failed."""
    failed_message: str = ""
    finished_at: str | None = None

    @property
    def finished(self) -> bool:
        """Whether it is Complete or Failed, and so creates no more pods."""
        return self.complete or bool(self.failed_reason)


@dataclass(frozen=True, slots=True)
class PodEvent:
    """An Event of a pod."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """All observed state that decisions about one TrainingJob use."""

    trainingjob: TrainingJob
    job: JobState | None = None
    pods: tuple[PodState, ...] = ()
    message_settled: bool = False
    """Whether this process saw its message removed from the queue."""
    missing_secret: str = ""
    """Name of the Secret with the URLs, if the reconciler looked for it and it does not exist."""
    missing_keys: tuple[str, ...] = ()
    """Keys that the pod mounts and the Secret lacks."""
    may_have_had_job: bool = False
    """Whether a Job may have existed, and been deleted, before this process started."""
    running: int = 0
    """Number of running trainings, this one included."""
    counts_all: bool = False
    """Whether `running` counts all, rather than those that the watches have shown so far."""
    pod_creation_error: str = ""
    """Message of the Event by which the Job can't create a pod, if the reconciler looked for it."""
    start_event: PodEvent | None = None
    """The newest Event that tells what `starting_pod` waits for, if the reconciler looked for it."""

    @property
    def job_pods(self) -> tuple[PodState, ...]:
        """The pods of the current Job, without those of an earlier one."""
        job = self.job
        if job is None:
            return ()
        return tuple(pod for pod in self.pods if not (job.uid and pod.job_uid) or pod.job_uid == job.uid)

    @property
    def starting_pod(self) -> PodState | None:
        """The youngest pod that does not run yet."""
        starting = (pod for pod in self.job_pods if pod.active and not pod.running)
        return max(starting, key=lambda pod: pod.created, default=None)

    @property
    def owns_job(self) -> bool:
        """Whether the Job exists and belongs to this TrainingJob."""
        return self.job is not None and self.job.owner_uid == self.trainingjob.metadata.uid


def observe_job(body: Body) -> JobState:
    """Reduce the body of a batch/v1 Job."""
    status = body.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or () if item.get("status") == "True"}
    complete, failed = conditions.get("Complete"), conditions.get("Failed")
    decisive = complete or failed or {}
    suspended = bool(body["spec"].get("suspend"))
    annotations = body["metadata"].get("annotations") or {}
    return JobState(
        name=body["metadata"]["name"],
        owner_uid=_controller_uid(body["metadata"], c.KIND),
        uid=body["metadata"].get("uid") or "",
        resource_version=body["metadata"].get("resourceVersion") or "",
        deleting=bool(body["metadata"].get("deletionTimestamp")),
        suspended=suspended,
        resuming="Suspended" in conditions and not suspended,
        ending="FailureTarget" in conditions or "SuccessCriteriaMet" in conditions,
        failed_pods=status.get("failed") or 0,
        failures=_number(annotations.get(c.ANNOTATION_FAILURES)),
        avoided_nodes=tuple(filter(None, annotations.get(c.ANNOTATION_AVOIDED_NODES, "").split(","))),
        start_time=status.get("startTime"),
        complete=complete is not None,
        failed_reason=(failed or {}).get("reason", ""),
        failed_message=(failed or {}).get("message", ""),
        finished_at=status.get("completionTime") or decisive.get("lastTransitionTime"),
    )


def observe_pod(body: Body) -> PodState:
    """Reduce the body of a pod."""
    status, spec = body.get("status") or {}, body.get("spec") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    containers, init_containers = _Containers(status, "containerStatuses"), _Containers(status, "initContainerStatuses")
    state = containers.state(c.TRAINER_CONTAINER)
    terminated = state.get("terminated") or {}
    blocked = init_containers.blocked or containers.blocked or containers.find(c.TRAINER_CONTAINER)
    waiting = (blocked.get("state") or {}).get("waiting") or {}
    phase = status.get("phase") or "Pending"
    disruption = conditions.get("DisruptionTarget") or {}
    disrupted = disruption.get("status") == "True"
    metadata = body["metadata"]
    return PodState(
        name=metadata["name"],
        phase=phase,
        created=metadata.get("creationTimestamp") or "",
        resource_version=metadata.get("resourceVersion") or "",
        uid=metadata.get("uid") or "",
        job_uid=_controller_uid(metadata, "Job"),
        index=_number((metadata.get("annotations") or {}).get(c.ANNOTATION_COMPLETION_INDEX)),
        node=spec.get("nodeName") or "",
        ends_by=metadata.get("deletionTimestamp") or "",
        disruption=(disruption.get("reason") or "") if disrupted else "",
        unschedulable=(scheduled.get("message") or "") if scheduled.get("reason") == "Unschedulable" else "",
        not_scheduled=_not_scheduled(scheduled),
        scheduled_at=(scheduled.get("lastTransitionTime") or "") if scheduled.get("status") == "True" else "",
        waiting_container=(blocked.get("name") or "") if waiting else "",
        waiting_reason=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        init_container=_running_init_container(init_containers, spec),
        running="running" in state,
        exit_code=terminated.get("exitCode"),
        terminated_reason=terminated.get("reason") or "",
        termination_message=terminated.get("message") or "",
        started_at=(state.get("running") or terminated).get("startedAt") or "",
        finished_at=terminated.get("finishedAt") or "",
        image=blocked.get("image") or "",
        failed_init_container=_failed_init_container(init_containers),
        remaining=() if phase in ("Succeeded", "Failed") or not terminated else containers.not_ended,
        reason=status.get("reason") or "",
        message=status.get("message") or "",
    )


class _Containers:
    """The statuses of a pod's containers, or of its init containers."""

    def __init__(self, status: Body, field: str) -> None:
        self.items: tuple[Body, ...] = tuple(status.get(field) or ())

    def find(self, name: str) -> Body:
        """The container of this name; empty if it has no status."""
        return next((item for item in self.items if item.get("name") == name), {})

    def state(self, name: str) -> Body:
        """The state of the container of this name."""
        return self.find(name).get("state") or {}

    @property
    def blocked(self) -> Body:
        """The first container that can't start; empty if there is none."""
        waiting = ((item, (item.get("state") or {}).get("waiting") or {}) for item in self.items)
        return next((item for item, state in waiting if state.get("reason") not in (None, *STARTING_REASONS)), {})

    @property
    def not_ended(self) -> tuple[str, ...]:
        """The names of the containers that have not ended."""
        return tuple(str(item.get("name")) for item in self.items if "terminated" not in (item.get("state") or {}))


def _not_scheduled(scheduled: Body) -> str:
    reason = scheduled.get("reason") or ""
    if scheduled.get("status") == "True" or reason in ("", "Unschedulable"):
        return ""
    return f"{reason}: {scheduled.get('message') or 'no message'}"


def _running_init_container(containers: _Containers, spec: Body) -> str:
    """The init container that runs now, or the sidecar that has not started yet."""
    restarted = {item.get("name") for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"}
    for item in containers.items:
        is_started_sidecar = item.get("name") in restarted and item.get("started")
        if "running" in (item.get("state") or {}) and not is_started_sidecar:
            return str(item.get("name"))
    return ""


def _failed_init_container(containers: _Containers) -> str:
    for item in containers.items:
        code = ((item.get("state") or {}).get("terminated") or {}).get("exitCode")
        if code:
            return f"{item.get('name')} (exit code {code})"
    return ""


def _controller_uid(metadata: Body, kind: str) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((str(item["uid"]) for item in owners if item.get("controller") and item.get("kind") == kind), "")


def _number(text: Any) -> int:
    """An annotation as a number; 0 if it is missing or malformed."""
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
