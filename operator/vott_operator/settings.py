"""The administrator's settings, read once at start.

They come from a YAML file (the chart's ConfigMap, `VOTT_TRAIN_CONFIG`) and from the environment, which wins; credentials
come from the environment only. The first VoTT-train's environment names alone give a working queue.
"""

import os
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from .errors import SettingsError
from .models import ResourceRequirements

CONFIG_ENV = "VOTT_TRAIN_CONFIG"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Section(BaseModel):
    """A part of the settings file: camelCase there, and an unknown name is an error rather than a silent typo."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class QueueSettings(Section):
    """One queue that messages come from."""

    kind: Literal["storage"] = Field("storage", description="Kind of queue: storage (Azure Storage Queue).")
    name: str = Field("training", description="Name of the queue.", min_length=3, max_length=63)


class ModelStore(Section):
    """Where the trainer may upload with the administrator's own account key."""

    secret_name: str = Field(
        description="Secret with the key AZURE_STORAGE_CONNECTION_STRING, in the training's namespace."
    )
    containers: list[str] = Field(
        default_factory=list,
        description="Containers that a message may name without a SAS; * allows all of the account.",
    )


class TrainerSettings(Section):
    """What every trainer pod gets."""

    image: str = Field("", description="Image of the trainer container, unless the TrainingJob names one.")
    image_pull_policy: str = Field("IfNotPresent", description="Kubernetes' imagePullPolicy of the trainer container.")
    service_account_name: str = Field(
        "vott-trainer", description="ServiceAccount of the trainer pods; it may write its own TrainingJob's status."
    )
    resources: ResourceRequirements = Field(
        default_factory=lambda: ResourceRequirements(requests={"cpu": "1", "memory": "2Gi"}, limits={"memory": "16Gi"}),
        description="CPU and memory of the trainer container, unless the TrainingJob says otherwise.",
    )
    shared_memory: str = Field("2Gi", description="Size of /dev/shm, which data loader workers use. Counts as memory.")
    work_volume: str = Field("50Gi", description="Size limit of /work: images, checkpoints and the model archive.")
    termination_grace_period_seconds: int = Field(60, description="Time from SIGTERM to SIGKILL.", ge=0)
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Tolerations beyond the ones for nvidia.com/gpu and sku=gpu, which every training has.",
    )
    model_store: ModelStore | None = Field(None, description="Own account for models whose URL carries no SAS.")


class PluginSettings(Section):
    """Which plugins a message may choose."""

    default: str = Field(
        "detection", description="Plugin of a message that names none. Environment: VOTT_TRAIN_PLUGIN."
    )
    allowed: list[str] = Field(
        default_factory=lambda: ["detection", "hello-world"], description="Plugins that a message may name."
    )


class CallbackSettings(Section):
    """How callbacks are sent."""

    allow_http: bool = Field(False, description="Allow callback URLs that are http, not only https.")
    timeout_seconds: float = Field(10, description="Time limit of one attempt.", gt=0)
    give_up_after_seconds: float = Field(
        86_400, description="How long after the training's end the outcome is still tried.", ge=0
    )


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
    queues: list[QueueSettings] = Field(
        default_factory=list, description="Queues that messages come from.", max_length=1
    )
    trainer: TrainerSettings = Field(default_factory=TrainerSettings, description="What every trainer pod gets.")
    plugins: PluginSettings = Field(default_factory=PluginSettings, description="Which plugins a message may choose.")
    callbacks: CallbackSettings = Field(default_factory=CallbackSettings, description="How callbacks are sent.")
    max_unfinished_jobs: int = Field(
        1000, description="While this many TrainingJobs are unfinished, messages stay in the queue.", ge=1
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What the operator logs.")

    # The first VoTT-train's names.
    azure_storage_connection_string: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_CONNECTION_STRING")
    azure_storage_account_name: str | None = Field(None, validation_alias="AZURE_STORAGE_ACCOUNT_NAME")
    azure_storage_key: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_KEY")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file, so that one value can be tried without editing the file."""
        file = YamlConfigSettingsSource(settings_cls, yaml_file=os.environ.get(CONFIG_ENV))
        return init_settings, env_settings, file

    @model_validator(mode="after")
    def _default_plugin_is_allowed(self) -> Self:
        if self.plugins.default not in self.plugins.allowed:
            raise ValueError(
                f"plugins.default is {self.plugins.default!r}, which is not in plugins.allowed {self.plugins.allowed}; add it there"
            )
        return self

    @property
    def storage_connection_string(self) -> str:
        """Connection string of the storage account, from its own setting or from account name and key.

        Raises SettingsError when neither is complete.
        """
        if self.azure_storage_connection_string is not None:
            return self.azure_storage_connection_string.get_secret_value()
        if self.azure_storage_account_name and self.azure_storage_key:
            return (
                f"DefaultEndpointsProtocol=https;AccountName={self.azure_storage_account_name};"
                f"AccountKey={self.azure_storage_key.get_secret_value()};EndpointSuffix=core.windows.net"
            )
        raise SettingsError(
            "no credentials for the Azure Storage Queue: set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_KEY"
        )


def load() -> Settings:
    """Read the settings. Raises SettingsError, which names every wrong setting."""
    file = os.environ.get(CONFIG_ENV)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_ENV} names {file}, which is not a file")
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}"
            for item in error.errors(include_url=False)
        )
        raise SettingsError(f"settings ({file or 'environment'}): {problems}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        text = " ".join(str(error).split())
        raise SettingsError(f"settings ({file or 'environment'}) can't be read: {text}") from None
    if not settings.trainer.image:
        raise SettingsError(
            "trainer.image is not set: name the image that trains, in the settings or in VOTT_TRAIN_TRAINER__IMAGE"
        )
    return settings.model_copy(update=_from_seed_environment(settings))


def _from_seed_environment(settings: Settings) -> dict[str, Any]:
    """Fill what the file left open from the first VoTT-train's environment and from the pod."""
    update: dict[str, Any] = {}
    if not settings.queues:
        update["queues"] = [QueueSettings(name=os.environ.get("AZURE_STORAGE_QUEUE_NAME") or "training")]
    if not settings.namespace:
        update["namespace"] = NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"
    if plugin := os.environ.get("VOTT_TRAIN_PLUGIN"):
        allowed = [*settings.plugins.allowed, *([] if plugin in settings.plugins.allowed else [plugin])]
        update["plugins"] = PluginSettings(default=plugin, allowed=allowed)
    return update
