"""Builders of observed state (TrainingJob, Job, pods, settings), so that a test names only the fields that it is about."""

from datetime import UTC, datetime
from typing import Any

from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.settings.operator import Settings
from vott_operator.settings.trainer import TrainerSettings

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
HOUR_AGO = "2026-01-01T11:00:00Z"
SOON = "2026-01-01T12:00:30Z"
UID = "11111111-2222-3333-4444-555555555555"
JOB_UID = "66666666-7777-8888-9999-000000000000"
MODEL = {"url": "https://store/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1234}


def settings(**overrides: Any) -> Settings:
    """Settings that don't depend on the environment."""
    usual: dict[str, Any] = {"namespace": "training", "trainer": TrainerSettings(image="trainer:1")}
    return Settings(**usual | overrides)


def trainingjob(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None
) -> TrainingJob:
    """A valid TrainingJob with these fields replaced."""
    return TrainingJob.model_validate(
        {
            "metadata": {"name": "cats", "namespace": "training", "uid": UID, "generation": 1, "resourceVersion": "7"}
            | (metadata or {}),
            "spec": {"annotations": {"url": "https://host/a.csv"}, "model": {"url": "https://store/models"}}
            | (spec or {}),
            "status": {"phase": "Pending"} | (status or {}),
        }
    )


def job(**fields: Any) -> JobState:
    """A Job of that TrainingJob, created an hour ago."""
    return JobState(**{"name": "cats", "owner_uid": UID, "uid": JOB_UID, "start_time": HOUR_AGO} | fields)


def pod(name: str = "cats-0-abcde", **fields: Any) -> PodState:
    """A pending pod of that Job, created an hour ago and bound to a node."""
    usual: dict[str, Any] = {"phase": "Pending", "created": HOUR_AGO, "job_uid": JOB_UID, "node": "n1"}
    return PodState(**usual | {"name": name, "index": int(name.split("-")[1])} | fields)


def running_pod(name: str = "cats-0-abcde", **fields: Any) -> PodState:
    """A running pod of that Job."""
    return pod(name, **{"phase": "Running", "running": True} | fields)


def observed(tj: TrainingJob | None = None, child: JobState | None = None, *pods: PodState) -> Observed:
    """Observed state of a TrainingJob with its Job and pods."""
    return Observed(tj or trainingjob(), child, pods)


def condition(type_: str, status: str = "True", reason: str = "Reason", message: str = "Message.") -> dict[str, str]:
    """A condition set an hour ago."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": HOUR_AGO,
    }


def previous_status(phase: str, reason: str, *conditions: dict[str, str], **fields: Any) -> dict[str, Any]:
    """A status written an hour ago."""
    status = {"phase": phase, "reason": reason, "conditions": list(conditions), "observedGeneration": 1}
    return status | {"jobName": "cats", "startTime": HOUR_AGO, "restarts": 0} | fields


def was_running(**fields: Any) -> dict[str, Any]:
    """Status of a training that runs in pod cats-0-abcde."""
    running = condition("Running", reason="TrainerRunning", message="Pod cats-0-abcde is training.")
    return previous_status("Running", "TrainerRunning", running, **{"podName": "cats-0-abcde"} | fields)


def was_pending(reason: str, **fields: Any) -> dict[str, Any]:
    """Status of a training that is pending for this reason."""
    return previous_status("Pending", reason, condition("Running", "False", reason), **fields)


def was_suspended(reason: str = "Suspended", **fields: Any) -> dict[str, Any]:
    """Status of a suspended training."""
    text = "The training is suspended; it resumes when spec.suspend is false."
    both = (condition("Suspended", "True", reason, text), condition("Running", "False", reason, text))
    return previous_status("Suspended", reason, *both, **{"podName": ""} | fields)


def was_complete(*more: dict[str, str], **fields: Any) -> dict[str, Any]:
    """Status of a completed training."""
    ended = condition("Complete", reason="TrainingSucceeded", message="The model lies there.")
    return previous_status("Complete", "TrainingSucceeded", ended, *more, **{"completionTime": HOUR_AGO} | fields)


def was_failed(*more: dict[str, str], reason: str = "TrainerFailed", **fields: Any) -> dict[str, Any]:
    """Status of a failed training."""
    ended = condition("Failed", reason=reason, message="Why.")
    return previous_status("Failed", reason, ended, *more, **{"completionTime": HOUR_AGO} | fields)
