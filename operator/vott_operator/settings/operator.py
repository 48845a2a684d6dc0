"""All settings of the operator, from a YAML file (`VOTT_TRAIN_CONFIG`, the chart's ConfigMap) and the environment.

Credentials are not settings: see `vott_messaging.queues.credential_variables`.
"""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from vott_messaging.settings.program import ProgramSettings, check_distinct
from vott_operator.api.spec import MAX_TTL_SECONDS
from vott_operator.settings.leader_election import LeaderElectionSettings
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.settings.tracing import TracingSettings
from vott_operator.settings.trainer import TrainerSettings
from vott_operator.settings.training_job import TrainingJobSettings


class Settings(ProgramSettings):
    """All settings of the operator."""

    namespace: str = Field("", description="Namespace of TrainingJobs, Jobs and pods. Default: the operator's own.")
    queues: list[OperatorQueueSettings] = Field(default_factory=list, description="Queues that messages come from.")
    trainer: TrainerSettings = Field(default_factory=TrainerSettings, description="What every trainer pod gets.")
    training_job: TrainingJobSettings = Field(
        default_factory=TrainingJobSettings, description="What the TrainingJobs of messages get."
    )
    max_unfinished_jobs: int = Field(
        1000, description="At this many unfinished TrainingJobs, messages stay in the queue.", ge=1
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        description="TrainingJobs of messages are deleted this long after their end. Default: never.",
        ge=0,
        le=MAX_TTL_SECONDS,
    )
    leader_election: LeaderElectionSettings = Field(
        default_factory=LeaderElectionSettings, description="Which of several operators works."
    )

    tracing: TracingSettings = Field(default_factory=TracingSettings, description="Where OpenTelemetry spans go.")
    log_format: Literal["console", "json"] = Field(
        "console", description="Form of the log: lines for people, or JSON objects for a log collector."
    )

    @field_validator("queues")
    @classmethod
    def _queues_are_distinct(cls, queues: list[OperatorQueueSettings]) -> Sequence[OperatorQueueSettings]:
        return check_distinct(queues)

    @model_validator(mode="after")
    def _ttl_covers_duplicate_windows(self) -> Self:
        ttl = self.ttl_seconds_after_finished
        for number, queue in enumerate(self.queues):
            if ttl is not None and ttl < queue.duplicate_window_seconds:
                raise ValueError(
                    f"ttlSecondsAfterFinished is {ttl}, but queues[{number}].duplicateWindowSeconds is"
                    f" {queue.duplicate_window_seconds}; raise the TTL, because duplicates are detected by their TrainingJob"
                )
        return self

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that the operator watches, sorted."""
        return sorted({self.namespace, *(self.namespace_of(queue) for queue in self.queues)})

    def namespace_of(self, queue: OperatorQueueSettings) -> str:
        """Namespace of a queue's TrainingJobs."""
        return queue.target_namespace or self.namespace

    @property
    def pod_settings(self) -> PodSettings:
        """The settings that pods are made from."""
        return PodSettings(self.trainer, self.outgoing.rules, self.callbacks.signed, self.log_format)

    def trainingjob_settings_of(self, queue: OperatorQueueSettings) -> TrainingJobSettings:
        """What the TrainingJobs of a queue's messages get."""
        return queue.training_job or self.training_job
