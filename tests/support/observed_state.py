"""Builders of observed state (TrainingJob, Job, pods, settings) and of statuses, so that a test sets only what matters to it."""

import json
from datetime import UTC, datetime
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.settings.operator import Settings
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
HOUR_AGO = "2026-01-01T11:00:00Z"
JUST_NOW = "2026-01-01T11:59:59Z"
SOON = "2026-01-01T12:00:30Z"
UID = "11111111-2222-3333-4444-555555555555"
JOB_UID = "66666666-7777-8888-9999-000000000000"
MODEL = {"url": "https://store/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1234}
CALLBACK = {"callback": {"url": "https://host/status"}}
POD_SETTINGS = PodSettings(TrainerSettings(image="trainer:1"))


def settings(**overrides: Any) -> Settings:
    """Settings with a namespace and an image."""
    usual: dict[str, Any] = {"namespace": "training", "trainer": TrainerSettings(image="trainer:1")}
    return Settings(**usual | overrides)


def trainingjob(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None
) -> TrainingJob:
    """A valid TrainingJob, plus the given fields. Once it has ended, its annotations record that."""
    usual = {"name": "cats", "namespace": "training", "uid": UID, "generation": 1, "resourceVersion": "7"}
    given = metadata or {}
    annotations = ended_annotation() if (status or {}).get("phase") in (c.COMPLETE, c.FAILED) else {}
    return TrainingJob.model_validate(
        {
            "metadata": usual | given | {"annotations": annotations | given.get("annotations", {})},
            "spec": {"annotations": {"url": "https://host/a.csv"}, "model": {"url": "https://store/models"}}
            | (spec or {}),
            "status": {"phase": "Pending"} | (status or {}),
        }
    )


def ended_annotation(**fields: Any) -> dict[str, str]:
    """The annotation of a TrainingJob that completed an hour ago."""
    usual = {"name": "cats", "uid": UID, "phase": c.COMPLETE, "reason": c.TRAINING_SUCCEEDED, "time": HOUR_AGO}
    return {c.ANNOTATION_ENDED: json.dumps(usual | fields)}


def deleted(
    status: dict[str, Any] | None = None, *finalizers: str, spec: Any = CALLBACK, at: str = JUST_NOW
) -> TrainingJob:
    """A TrainingJob that was deleted at `at` and that its finalizers hold."""
    metadata = {"deletionTimestamp": at, "finalizers": list(finalizers or (c.FINALIZER,))}
    return trainingjob(spec, status or running_status(), metadata)


def job(**fields: Any) -> JobState:
    """The TrainingJob's Job, started an hour ago."""
    return JobState(**{"name": "cats", "owner_uid": UID, "uid": JOB_UID, "start_time": HOUR_AGO} | fields)


def pod(name: str = "cats-0-abcde", **fields: Any) -> PodState:
    """A pod of the Job that has a node and has been starting for an hour."""
    usual: dict[str, Any] = {"phase": "Pending", "created": HOUR_AGO, "job_uid": JOB_UID, "node": "n1"}
    return PodState(**usual | {"name": name, "index": int(name.split("-")[1])} | fields)


def running_pod(name: str = "cats-0-abcde", **fields: Any) -> PodState:
    """A pod of the Job with a running trainer."""
    return pod(name, **{"phase": "Running", "running": True} | fields)


def failed_pod(name: str = "cats-0-first", code: int | None = 1, **fields: Any) -> PodState:
    """A pod of the Job with a trainer that exited with `code`."""
    return pod(name, phase="Failed", exit_code=code, **fields)


def observed(tj: TrainingJob | None = None, child: JobState | None = None, *pods: PodState) -> Observed:
    """The observed state: a TrainingJob, its Job and its pods."""
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


def status(phase: str, reason: str, *conditions: dict[str, str], **fields: Any) -> dict[str, Any]:
    """A status that the operator wrote an hour ago."""
    usual = {"phase": phase, "reason": reason, "conditions": list(conditions), "observedGeneration": 1}
    return usual | {"jobName": "cats", "startTime": HOUR_AGO, "restarts": 0} | fields


def attempt(outcome: str = "Failed", reason: str = "TrainerFailed", **fields: Any) -> dict[str, Any]:
    """An entry of status.attempts."""
    usual = {"podName": "cats-0-older", "nodeName": "n1", "created": "2026-01-01T10:00:00Z"}
    return usual | {"outcome": outcome, "reason": reason} | fields


def running_status(**fields: Any) -> dict[str, Any]:
    """The status of a training that runs in pod cats-0-abcde."""
    running = condition("Running", reason="TrainerRunning", message="Pod cats-0-abcde is training.")
    return status("Running", "TrainerRunning", running, **{"podName": "cats-0-abcde"} | fields)


def pending_status(reason: str, **fields: Any) -> dict[str, Any]:
    """The status of a training that is pending for `reason`."""
    return status("Pending", reason, condition("Running", "False", reason), **fields)


def suspended_status(reason: str = "Suspended", **fields: Any) -> dict[str, Any]:
    """The status of a suspended training."""
    message = "The training is suspended; it resumes when spec.suspend is false."
    conditions = (condition("Suspended", "True", reason, message), condition("Running", "False", reason, message))
    return status("Suspended", reason, *conditions, **{"podName": ""} | fields)


def complete_status(*more: dict[str, str], **fields: Any) -> dict[str, Any]:
    """The status of a training that succeeded."""
    complete = condition("Complete", reason="TrainingSucceeded", message="The model is there.")
    return status("Complete", "TrainingSucceeded", complete, *more, **{"completionTime": HOUR_AGO} | fields)


def failed_status(*more: dict[str, str], reason: str = "TrainerFailed", **fields: Any) -> dict[str, Any]:
    """The status of a training that failed for `reason`."""
    failed = condition("Failed", reason=reason, message="Why.")
    return status("Failed", reason, failed, *more, **{"completionTime": HOUR_AGO} | fields)
