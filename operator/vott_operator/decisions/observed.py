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


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a Job, with its trainer container."""

    name: str
    phase: str
    created: str
    resource_version: str = ""
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
    waiting_reason: str = ""
    waiting_message: str = ""
    running: bool = False
    exit_code: int | None = None
    terminated_reason: str = ""
    termination_message: str = ""
    finished_at: str = ""
    image: str = ""
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
    """Several nodes: the failures counted before this Job was created."""
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

    @property
    def job_pods(self) -> tuple[PodState, ...]:
        """The pods of the current Job, without those of an earlier one."""
        job = self.job
        if job is None:
            return ()
        return tuple(pod for pod in self.pods if not (job.uid and pod.job_uid) or pod.job_uid == job.uid)

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
        failures=_number((body["metadata"].get("annotations") or {}).get(c.ANNOTATION_FAILURES)),
        start_time=status.get("startTime"),
        complete=complete is not None,
        failed_reason=(failed or {}).get("reason", ""),
        failed_message=(failed or {}).get("message", ""),
        finished_at=status.get("completionTime") or decisive.get("lastTransitionTime"),
    )


def observe_pod(body: Body) -> PodState:
    """Reduce the body of a pod."""
    status = body.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    container = _trainer_container(status)
    state = container.get("state") or {}
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    disruption = conditions.get("DisruptionTarget") or {}
    disrupted = disruption.get("status") == "True"
    metadata = body["metadata"]
    return PodState(
        name=metadata["name"],
        phase=status.get("phase") or "Pending",
        created=metadata.get("creationTimestamp") or "",
        resource_version=metadata.get("resourceVersion") or "",
        job_uid=_controller_uid(metadata, "Job"),
        index=_number((metadata.get("annotations") or {}).get(c.ANNOTATION_COMPLETION_INDEX)),
        node=(body.get("spec") or {}).get("nodeName") or "",
        ends_by=metadata.get("deletionTimestamp") or "",
        disruption=(disruption.get("reason") or "") if disrupted else "",
        unschedulable=(scheduled.get("message") or "") if scheduled.get("reason") == "Unschedulable" else "",
        waiting_reason=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        running="running" in state,
        exit_code=terminated.get("exitCode"),
        terminated_reason=terminated.get("reason") or "",
        termination_message=terminated.get("message") or "",
        finished_at=terminated.get("finishedAt") or "",
        image=container.get("image") or "",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
    )


def _trainer_container(status: Body) -> Body:
    containers = status.get("containerStatuses") or ()
    return next((item for item in containers if item.get("name") == c.TRAINER_CONTAINER), {})


def _controller_uid(metadata: Body, kind: str) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((str(item["uid"]) for item in owners if item.get("controller") and item.get("kind") == kind), "")


def _number(text: Any) -> int:
    """An annotation as a number; 0 if it is missing or malformed."""
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
