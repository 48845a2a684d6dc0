"""What was observed of a Job and its pods, reduced to what decisions need.

Ten thousand of these are held in memory, so they are small; the bodies they were read from are not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import constants as c
from .models import TrainingJob

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a Job, with its trainer container."""

    name: str
    phase: str
    created: str
    deleting: bool = False
    unschedulable: str = ""
    """The scheduler's message, when it found no node."""
    waiting_reason: str = ""
    waiting_message: str = ""
    running: bool = False
    exit_code: int | None = None
    terminated_reason: str = ""
    termination_message: str = ""
    image: str = ""
    reason: str = ""
    """The kubelet's own reason for the whole pod, such as Evicted."""
    message: str = ""

    @property
    def live(self) -> bool:
        """Whether it runs or may still run."""
        # Between a container's end and the pod's, the phase is still Running.
        return self.phase in ("Pending", "Running") and not self.deleting and self.exit_code is None


@dataclass(frozen=True, slots=True)
class JobState:
    """The batch/v1 Job of a TrainingJob."""

    name: str
    owner_uid: str
    """uid of the TrainingJob that owns it; empty where none does."""
    resource_version: str = ""
    suspended: bool = False
    failed_pods: int = 0
    start_time: str | None = None
    complete: bool = False
    failed_reason: str = ""
    """Reason of the Job's Failed condition; empty while it has not failed."""
    failed_message: str = ""
    finished_at: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """All that a decision about one TrainingJob is made from."""

    trainingjob: TrainingJob
    job: JobState | None = None
    pods: tuple[PodState, ...] = ()
    message_settled: bool = False
    """Whether this process saw the message that brought it removed from the queue."""
    missing_secret: str = ""
    """Name of the Secret with the URLs, when somebody looked for it and it is not there."""


def observe_job(body: Body) -> JobState:
    """Reduce a batch/v1 Job."""
    status = body.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or () if item.get("status") == "True"}
    complete, failed = conditions.get("Complete"), conditions.get("Failed")
    decisive = complete or failed or {}
    owners = body["metadata"].get("ownerReferences") or ()
    owner: Body = next((item for item in owners if item.get("controller") and item.get("kind") == c.KIND), {})
    return JobState(
        name=body["metadata"]["name"],
        owner_uid=owner.get("uid", ""),
        resource_version=body["metadata"].get("resourceVersion") or "",
        suspended=bool(body["spec"].get("suspend")),
        failed_pods=status.get("failed") or 0,
        start_time=status.get("startTime"),
        complete=complete is not None,
        failed_reason=(failed or {}).get("reason", ""),
        failed_message=(failed or {}).get("message", ""),
        finished_at=status.get("completionTime") or decisive.get("lastTransitionTime"),
    )


def observe_pod(body: Body) -> PodState:
    """Reduce a pod."""
    status = body.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    container = _trainer_container(status)
    state = container.get("state") or {}
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    return PodState(
        name=body["metadata"]["name"],
        phase=status.get("phase") or "Pending",
        created=body["metadata"].get("creationTimestamp") or "",
        deleting=bool(body["metadata"].get("deletionTimestamp")),
        unschedulable=(scheduled.get("message") or "") if scheduled.get("reason") == "Unschedulable" else "",
        waiting_reason=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        running="running" in state,
        exit_code=terminated.get("exitCode"),
        terminated_reason=terminated.get("reason") or "",
        termination_message=terminated.get("message") or "",
        image=container.get("image") or "",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
    )


def _trainer_container(status: Body) -> Body:
    containers = status.get("containerStatuses") or ()
    return next((item for item in containers if item.get("name") == c.TRAINER_CONTAINER), {})
