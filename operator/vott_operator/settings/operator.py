"""All settings of the operator, from a YAML file (`VOTT_TRAIN_CONFIG`, the chart's ConfigMap) and the environment.

Credentials are not settings: see `vott_messaging.queues.credential_variables`.
"""

import os
from collections.abc import Hashable, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.outgoing import OutgoingSettings
from vott_messaging.settings.plugins import PluginSettings
from vott_operator.api.spec import MAX_TTL_SECONDS
from vott_operator.settings.leader_election import LeaderElectionSettings
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.settings.trainer import TrainerSettings
from vott_operator.settings.training_job import TrainingJobSettings

CONFIG_ENV = "VOTT_TRAIN_CONFIG"


class _Environment(EnvSettingsSource):
    """The environment under the file's names, so that each value overrides the file's."""

    def __call__(self) -> dict[str, Any]:
        """See PydanticBaseSettingsSource."""
        return _by_alias(self.settings_cls, super().__call__())


def _by_alias(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename `values` to the aliases of `model`, sections included; unknown names stay."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        field = model.model_fields.get(name)
        kind = field.annotation if field else None
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            value = _by_alias(kind, value)  # noqa: PLW2901
        result[(field.alias if field else None) or name] = value
    return result


class Settings(BaseSettings):
    """All settings of the operator."""

    model_config = SettingsConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        env_prefix="VOTT_TRAIN_",
        env_nested_delimiter="__",
    )

    namespace: str = Field("", description="Namespace of TrainingJobs, Jobs and pods. Default: the operator's own.")
    queues: list[OperatorQueueSettings] = Field(default_factory=list, description="Queues that messages come from.")
    trainer: TrainerSettings = Field(default_factory=TrainerSettings, description="What every trainer pod gets.")
    training_job: TrainingJobSettings = Field(
        default_factory=TrainingJobSettings, description="What the TrainingJobs of messages get."
    )
    plugins: PluginSettings = Field(default_factory=PluginSettings, description="Which plugins a message may choose.")
    outgoing: OutgoingSettings = Field(
        default_factory=OutgoingSettings, description="Which addresses the URLs of messages may lead to."
    )
    callbacks: CallbackSettings = Field(default_factory=CallbackSettings, description="How callbacks are sent.")
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
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that the operator logs."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, value by value."""
        file = YamlConfigSettingsSource(settings_cls, yaml_file=os.environ.get(CONFIG_ENV))
        return init_settings, _Environment(settings_cls), file

    @field_validator("queues")
    @classmethod
    def _queues_are_distinct(cls, queues: list[OperatorQueueSettings]) -> list[OperatorQueueSettings]:
        first_numbers: dict[Hashable, int] = {}
        for number, queue in enumerate(queues):
            identity = (queue.kind, queue.account, queue.service_bus_namespace, queue.credentials_dir, queue.name)
            if (first := first_numbers.setdefault(identity, number)) != number:
                raise ValueError(f"[{number}] is the same queue as [{first}] ({queue.place}); remove one of them")
        return queues

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

    def plugins_of(self, queue: OperatorQueueSettings) -> PluginSettings:
        """Which plugins a queue's messages may choose."""
        return queue.plugins or self.plugins

    @property
    def pod_settings(self) -> PodSettings:
        """The settings that pods are made from."""
        return PodSettings(self.trainer, self.outgoing.rules, self.callbacks.signed)

    def trainingjob_settings_of(self, queue: OperatorQueueSettings) -> TrainingJobSettings:
        """What the TrainingJobs of a queue's messages get."""
        return queue.training_job or self.training_job
