"""Settings of one queue that are the operator's alone: what its TrainingJobs get."""

import re
from typing import NamedTuple

from pydantic import Field, field_validator

from vott_messaging.settings.queue import QueueSettings
from vott_operator.settings.training_job import TrainingJobSettings

KUBERNETES_NAMESPACE = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class QueueLimits(NamedTuple):
    """How many TrainingJobs of one queue's messages there may be."""

    unfinished: int
    """Without those that wait for quota."""
    waiting_for_quota: int
    """Suspended, or waiting for quota."""


def check_namespace(namespace: str) -> str:
    """Return the name of a namespace unchanged. Raises ValueError."""
    if not KUBERNETES_NAMESPACE.fullmatch(namespace):
        raise ValueError(f"{namespace!r} is not a valid namespace: use up to 63 lower-case letters, digits and dashes")
    return namespace


class OperatorQueueSettings(QueueSettings):
    """One queue whose messages become TrainingJobs."""

    target_namespace: str = Field(
        "", description="Kubernetes namespace of the queue's TrainingJobs. Default: namespace."
    )
    training_job: TrainingJobSettings | None = Field(
        None, description="What the TrainingJobs of the queue's messages get. Default: trainingJob."
    )
    max_unfinished_jobs: int | None = Field(
        None,
        description="At this many unfinished TrainingJobs of the queue, its messages stay in it."
        " Default: an even part of what maxUnfinishedJobs leaves to the queues that set none.",
        ge=1,
    )
    duplicate_window_seconds: int = Field(
        0,
        description="Messages with the same content within this time are duplicates; 0: only messages with the same id are.",
        ge=0,
    )

    @field_validator("target_namespace")
    @classmethod
    def _target_is_a_namespace(cls, namespace: str) -> str:
        return check_namespace(namespace) if namespace else ""
