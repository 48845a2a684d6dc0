"""The administrator's settings, read once at start.

They come from a YAML file (the chart's ConfigMap, `VOTT_TRAIN_CONFIG`) and from the environment, which wins. Credentials are
no settings (`credentials.py`). The first VoTT-train's environment names alone give a working queue.
"""

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from vott_operator.api.spec import MAX_TTL_SECONDS
from vott_operator.errors import SettingsError
from vott_operator.settings.outgoing import CallbackSettings, OutgoingSettings
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.queue import PluginSettings, QueueSettings
from vott_operator.settings.section import Section
from vott_operator.settings.trainer import TrainerSettings, TrainingJobSettings

CONFIG_ENV = "VOTT_TRAIN_CONFIG"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class LeaderElectionSettings(Section):
    """Which of several operators works, and how soon another takes over."""

    enabled: bool = Field(True, description="Work only while holding a Lease, so that several may run.")
    lease_name: str = Field("vott-train", description="Name of the Lease in the operator's own namespace.")
    lease_duration_seconds: int = Field(
        15,
        description="How long after its holder's last sign another operator waits before it takes over.",
        ge=5,
        le=60,
    )


class _Environment(EnvSettingsSource):
    """The environment, by the file's names, so that the one can be laid over the other."""

    def __call__(self) -> dict[str, Any]:
        """See PydanticBaseSettingsSource."""
        return _by_alias(self.settings_cls, super().__call__())


def _by_alias(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the aliases of `model` and of its sections for names; what it does not know keeps its name."""
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
    queues: list[QueueSettings] = Field(default_factory=list, description="Queues that messages come from.")
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
        1000, description="While this many TrainingJobs are unfinished, messages stay in the queue.", ge=1
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        description="TrainingJobs of messages are deleted so long after they ended. Default: never.",
        ge=0,
        le=MAX_TTL_SECONDS,
    )
    leader_election: LeaderElectionSettings = Field(
        default_factory=LeaderElectionSettings, description="Which of several operators works."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What the operator logs.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file, so that one value can be tried without editing the file."""
        file = YamlConfigSettingsSource(settings_cls, yaml_file=os.environ.get(CONFIG_ENV))
        return init_settings, _Environment(settings_cls), file

    @field_validator("queues")
    @classmethod
    def _queues_differ(cls, queues: list[QueueSettings]) -> list[QueueSettings]:
        seen: dict[Hashable, int] = {}
        for number, queue in enumerate(queues):
            place = (queue.kind, queue.account, queue.service_bus_namespace, queue.credentials_dir, queue.name)
            if (first := seen.setdefault(place, number)) != number:
                raise ValueError(f"[{number}] is the same queue as [{first}] ({queue.place}); remove one of them")
        return queues

    @model_validator(mode="after")
    def _duplicates_are_remembered(self) -> Self:
        ttl = self.ttl_seconds_after_finished
        for number, queue in enumerate(self.queues):
            if ttl is not None and ttl < queue.duplicate_window_seconds:
                raise ValueError(
                    f"ttlSecondsAfterFinished is {ttl}, but queues[{number}].duplicateWindowSeconds is"
                    f" {queue.duplicate_window_seconds}: the TrainingJob is what remembers the content; make it stay as long"
                )
        return self

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that the operator works in, sorted."""
        return sorted({self.namespace, *(self.namespace_of(queue) for queue in self.queues)})

    def namespace_of(self, queue: QueueSettings) -> str:
        """Namespace of a queue's TrainingJobs."""
        return queue.target_namespace or self.namespace

    def plugins_of(self, queue: QueueSettings) -> PluginSettings:
        """Which plugins a queue's messages may choose."""
        return queue.plugins or self.plugins

    @property
    def pod_settings(self) -> PodSettings:
        """What the trainings' pods are made from."""
        return PodSettings(self.trainer, self.outgoing.rules, self.callbacks.signed)

    def trainingjob_settings_of(self, queue: QueueSettings) -> TrainingJobSettings:
        """What the TrainingJobs of a queue's messages get."""
        return queue.training_job or self.training_job


def source() -> str:
    """Where the settings come from, for error texts: the file's path, or "environment"."""
    return os.environ.get(CONFIG_ENV) or "environment"


def load() -> Settings:
    """Read the settings. What only trainings need is checked by `objects.preflight`.

    Raises:
        SettingsError: names every wrong setting.
    """
    file = os.environ.get(CONFIG_ENV)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_ENV} names {file}, which is not a file")
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(_explain(dict(item)) for item in error.errors(include_url=False))
        raise SettingsError(f"settings ({source()}): {problems}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        text = " ".join(str(error).split())
        raise SettingsError(f"settings ({source()}) can't be read: {text}") from None
    return settings.model_copy(update=_from_seed_environment(settings))


def _explain(item: Mapping[str, Any]) -> str:
    """A sentence that begins with the setting's name as one writes it: queues[1].model."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"]]
    name = "".join(parts).removeprefix(".")
    unknown = item["type"] == "extra_forbidden"
    text = "there is no such setting" if unknown else item["msg"].removeprefix("Value error, ")
    goes_on = not name or text.startswith(("[", "."))  # of a part of what is named, or of several settings
    return f"{name}{'' if goes_on else ' ' if item['type'] == 'value_error' else ': '}{text}"


def _from_seed_environment(settings: Settings) -> dict[str, Any]:
    """Fill what the file left open from the first VoTT-train's environment and from the pod."""
    update: dict[str, Any] = {}
    if not settings.queues:
        update["queues"] = [_seed_queue()]
    if not settings.namespace:
        update["namespace"] = NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"
    if plugin := os.environ.get("VOTT_TRAIN_PLUGIN"):
        allowed = [*settings.plugins.allowed, *([] if plugin in settings.plugins.allowed else [plugin])]
        update["plugins"] = PluginSettings(default=plugin, allowed=allowed)
    return update


def _seed_queue() -> QueueSettings:
    """The one queue of the first VoTT-train: Service Bus when its variables are set and no storage account's are."""
    service_bus = _any_set("AZURE_SERVICE_BUS_NAMESPACE", "AZURE_SERVICE_BUS_CONNECTION_STRING")
    storage = _any_set("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING")
    kind, variable = (
        ("serviceBus", "AZURE_SERVICE_BUS_QUEUE_NAME")
        if service_bus and not storage
        else ("storage", "AZURE_STORAGE_QUEUE_NAME")
    )
    try:
        return QueueSettings.model_validate({"kind": kind, "name": os.environ.get(variable) or "training"})
    except ValidationError as error:
        raise SettingsError(f"{variable} {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _any_set(*names: str) -> bool:
    return any(os.environ.get(name) for name in names)
