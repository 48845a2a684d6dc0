"""All settings of the operator, from a YAML file (`VOTT_TRAIN_CONFIG`, the chart's ConfigMap) and the environment.

Credentials are not settings: see `vott_messaging.queues.credential_variables`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from vott_messaging.settings.program import ProgramSettings, check_distinct
from vott_operator.api.spec import MAX_TTL_SECONDS
from vott_operator.settings.leader_election import LeaderElectionSettings
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.queue import OperatorQueueSettings, QueueLimits, check_namespace
from vott_operator.settings.tracing import TracingSettings
from vott_operator.settings.trainer import TrainerSettings
from vott_operator.settings.training_job import TrainingJobSettings

WEEK_SECONDS = 604_800
NEVER = "never"


def _ttl(value: Any) -> Any:
    # Helm removes a value that is set to null, so null can't mean "never".
    if value is None:
        return WEEK_SECONDS
    if isinstance(value, str) and value != NEVER and not value.strip().lstrip("-").isdecimal():
        raise ValueError(f"is {value!r}; use a number of seconds, or {NEVER}")
    return None if value == NEVER else value


Ttl = Annotated[
    Annotated[int, Field(ge=0, le=MAX_TTL_SECONDS)] | None,
    BeforeValidator(_ttl),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_TTL_SECONDS},
                {"type": "string", "pattern": f"^({NEVER}|[0-9]+)$"},
            ]
        }
    ),
]
"""Seconds, or None for never."""


class Settings(ProgramSettings):
    """All settings of the operator."""

    namespace: str = Field("", description="Namespace of TrainingJobs, Jobs and pods. Default: the operator's own.")
    queues: list[OperatorQueueSettings] = Field(default_factory=list, description="Queues that messages come from.")
    trainer: TrainerSettings = Field(default_factory=TrainerSettings, description="What every trainer pod gets.")
    training_job: TrainingJobSettings = Field(
        default_factory=TrainingJobSettings, description="What the TrainingJobs of messages get."
    )
    max_unfinished_jobs: int = Field(
        1000,
        description="At this many unfinished TrainingJobs, messages stay in their queues. Each queue has a part of it.",
        ge=1,
    )
    max_waiting_for_quota: int = Field(
        1000,
        description="At this many TrainingJobs that are suspended or wait for quota, messages stay in their queues."
        " They do not count as unfinished. Each queue has an even part of it.",
        ge=1,
    )
    ttl_seconds_after_finished: Ttl = Field(
        WEEK_SECONDS, description="TrainingJobs of messages are deleted this long after their end; never keeps them."
    )
    drain_namespaces: list[str] = Field(
        default_factory=list, description="More namespaces whose TrainingJobs are brought to their end."
    )
    role_binding: str = Field(
        "", description="Name of the operator's RoleBinding in each training namespace. Default: none is held."
    )
    leader_election: LeaderElectionSettings = Field(
        default_factory=LeaderElectionSettings, description="Which of several operators works."
    )

    tracing: TracingSettings = Field(default_factory=TracingSettings, description="Where OpenTelemetry spans go.")
    log_format: Literal["console", "json"] = Field(
        "console", description="Form of the log: lines for people, or JSON objects for a log collector."
    )

    @field_validator("drain_namespaces")
    @classmethod
    def _drained_are_namespaces(cls, namespaces: list[str]) -> list[str]:
        return [check_namespace(namespace) for namespace in namespaces]

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

    @model_validator(mode="after")
    def _queues_fit_into_the_total(self) -> Self:
        own = [queue.max_unfinished_jobs for queue in self.queues if queue.max_unfinished_jobs is not None]
        needed = sum(own) + len(self.queues) - len(own)
        if own and needed > self.max_unfinished_jobs:
            raise ValueError(
                f"maxUnfinishedJobs is {self.max_unfinished_jobs}, but the queues need {needed}:"
                " the sum of queues[].maxUnfinishedJobs, and 1 for each queue without; raise maxUnfinishedJobs"
            )
        return self

    def limits_of(self, queue: OperatorQueueSettings) -> QueueLimits:
        """How many TrainingJobs of a queue's messages there may be: its own limit, or an even part of what the own limits leave."""
        own = [other.max_unfinished_jobs for other in self.queues if other.max_unfinished_jobs is not None]
        part = _even_part(self.max_unfinished_jobs - sum(own), len(self.queues) - len(own))
        return QueueLimits(queue.max_unfinished_jobs or part, _even_part(self.max_waiting_for_quota, len(self.queues)))

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that the operator watches, sorted."""
        return sorted({self.namespace, *(self.namespace_of(queue) for queue in self.queues), *self.drain_namespaces})

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


def _even_part(total: int, queues: int) -> int:
    """Return the part of each queue, at least 1."""
    return max(1, total // max(1, queues))
