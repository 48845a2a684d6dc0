"""Base of a program's settings, from a YAML file (`VOTT_TRAIN_CONFIG`) and the environment, and how they are loaded.

Credentials are not settings: see `vott_messaging/queues/credential_variables.py`.
"""

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from vott_messaging.errors import SettingsError
from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.explanation import explain
from vott_messaging.settings.outgoing import OutgoingSettings
from vott_messaging.settings.plugins import PluginSettings
from vott_messaging.settings.queue import QueueSettings

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


class ProgramSettings(BaseSettings):
    """The settings that all consumers of queues have in common, except the queues."""

    model_config = SettingsConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        env_prefix="VOTT_TRAIN_",
        env_nested_delimiter="__",
    )

    plugins: PluginSettings = Field(default_factory=PluginSettings, description="Which plugins a message may choose.")
    outgoing: OutgoingSettings = Field(
        default_factory=OutgoingSettings, description="Which addresses the URLs of messages may lead to."
    )
    callbacks: CallbackSettings = Field(default_factory=CallbackSettings, description="How callbacks are sent.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")

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

    def plugins_of(self, queue: QueueSettings) -> PluginSettings:
        """Which plugins a queue's messages may choose."""
        return queue.plugins or self.plugins


SettingsT = TypeVar("SettingsT", bound=ProgramSettings)
QueueT = TypeVar("QueueT", bound=QueueSettings)


def check_distinct(queues: Sequence[QueueT]) -> Sequence[QueueT]:
    """Return the queues. Raises ValueError if two of them are the same."""
    first_numbers: dict[Hashable, int] = {}
    for number, queue in enumerate(queues):
        identity = (queue.kind, queue.account, queue.service_bus_namespace, queue.credentials_dir, queue.name)
        if (first := first_numbers.setdefault(identity, number)) != number:
            raise ValueError(f"[{number}] is the same queue as [{first}] ({queue.place}); remove one of them")
    return queues


def load(model: type[SettingsT]) -> SettingsT:
    """Load the settings of a program.

    Raises:
        SettingsError: something is wrong; the text names every wrong setting.
    """
    file = os.environ.get(CONFIG_ENV)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_ENV} names {file}, which is not a file")
    try:
        return model()
    except ValidationError as error:
        raise SettingsError(f"settings ({source()}): {explain(error)}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        text = " ".join(str(error).split())
        raise SettingsError(f"settings ({source()}) can't be read: {text}") from None


def source() -> str:
    """Where the settings come from, for error texts: the file's path, or "environment"."""
    return os.environ.get(CONFIG_ENV) or "environment"
