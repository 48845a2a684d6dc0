"""What was observed of a Job and its pods, reduced to what decisions need.

Ten thousand of these are held in memory, so they are small; the bodies they were read from are not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    """uid of the Job that made it."""
    index: int = 0
    """Which of the Job's nodes it is."""
    node: str = ""
    """Name of the node that it is on; empty before it has one."""
    ends_by: str = ""
    """When the grace period of its deletion is over; empty while nobody deleted it."""
    disruption: str = ""
    """Why the cluster took it away, such as EvictionByEvictionAPI; empty where it did not."""
    unschedulable: str = ""
    """The scheduler's message, when it found no node."""
    waiting_reason: str = ""
    waiting_message: str = ""
    running: bool = False
    exit_code: int | None = None
    terminated_reason: str = ""
    termination_message: str = ""
    finished_at: str = ""
    image: str = ""
    reason: str = ""
    """The kubelet's own reason for the whole pod, such as Evicted."""
    message: str = ""

    @property
    def deleting(self) -> bool:
        """Whether somebody deleted it."""
        return bool(self.ends_by)

    @property
    def live(self) -> bool:
        """Whether it runs or may still run."""
        # Between a container's end and the pod's, the phase is still Running.
        return not self.over and not self.deleting and self.exit_code is None

    @property
    def over(self) -> bool:
        """Whether none of its containers runs or ever will again."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def interrupted(self) -> bool:
        """Whether it ended, or ends, because somebody else wanted it to."""
        if self.exit_code == 0:
            return False
        return bool(self.disruption) or self.deleting or self.exit_code == c.EXIT_CODE_SIGTERM


@dataclass(frozen=True, slots=True)
class JobState:
    """The batch/v1 Job of a TrainingJob."""

    name: str
    owner_uid: str
    """uid of the TrainingJob that owns it; empty where none does."""
    uid: str = ""
    resource_version: str = ""
    deleting: bool = False
    suspended: bool = False
    """Whether it is to have no pods."""
    resuming: bool = False
    """It is suspended no longer, but its controller has yet to notice."""
    ending: bool = False
    """Its controller knows how it ends, and has yet to end its pods."""
    failed_pods: int = 0
    failures: int = 0
    """With several nodes: the failures that counted before this Job was made."""
    start_time: str | None = None
    complete: bool = False
    failed_reason: str = ""
    """Reason of the Job's Failed condition; empty while it has not failed."""
    failed_message: str = ""
    finished_at: str | None = None

    @property
    def over(self) -> bool:
        """Whether it makes no more pods."""
        return self.complete or bool(self.failed_reason)


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
    missing_keys: tuple[str, ...] = ()
    """Keys that it lacks, and that a pod can't start without."""
    may_have_had_job: bool = False
    """Whether there may have been a Job, now gone, that this process knows nothing of."""
    refusal: str = ""
    """Why the Job can't make a pod, in the words of its Event, when somebody looked for it."""

    @property
    def job_pods(self) -> tuple[PodState, ...]:
        """The pods of the present Job, without those of one before it."""
        job = self.job
        if job is None:
            return ()
        return tuple(pod for pod in self.pods if not (job.uid and pod.job_uid) or pod.job_uid == job.uid)

    @property
    def owns_job(self) -> bool:
        """Whether there is a Job, and it is this TrainingJob's."""
        return self.job is not None and self.job.owner_uid == self.trainingjob.metadata.uid


def observe_job(body: Body) -> JobState:
    """Reduce a batch/v1 Job."""
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
    """Reduce a pod."""
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
    """What an annotation says; 0 where it says nothing that counts."""
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
