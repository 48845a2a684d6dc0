"""Builders of what the operator observes, so that a test says only what matters to it."""

from datetime import UTC, datetime
from typing import Any

from vott_operator.models import TrainingJob
from vott_operator.observed import JobState, Observed, PodState
from vott_operator.settings import Settings, TrainerSettings

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
MODEL = {"url": "https://store/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1234}


def settings(**overrides: Any) -> Settings:
    """Settings without a look at the environment's queues."""
    return Settings(namespace="training", trainer=TrainerSettings(image="trainer:1"), **overrides)


def trainingjob(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None
) -> TrainingJob:
    """A valid TrainingJob with the given fields on top."""
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
    """A Job of that TrainingJob."""
    return JobState(**{"name": "cats", "owner_uid": UID, "start_time": "2026-01-01T11:00:00Z"} | fields)


def pod(name: str = "cats-abcde", **fields: Any) -> PodState:
    """A pod of that Job, starting."""
    return PodState(**{"name": name, "phase": "Pending", "created": "2026-01-01T11:00:00Z"} | fields)


def observed(tj: TrainingJob | None = None, child: JobState | None = None, *pods: PodState) -> Observed:
    """All of them together."""
    return Observed(tj or trainingjob(), child, pods)


def condition(type_: str, status: str = "True", reason: str = "Reason", message: str = "Message.") -> dict[str, str]:
    """A condition that was set an hour ago."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T11:00:00Z",
    }
