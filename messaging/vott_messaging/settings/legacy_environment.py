"""Environment variables of the first VoTT-train: they alone give a working queue and plugin."""

import os
from typing import TypeVar

from pydantic import ValidationError

from vott_messaging.errors import SettingsError
from vott_messaging.settings.plugins import PluginSettings
from vott_messaging.settings.queue import QueueSettings

QueueT = TypeVar("QueueT", bound=QueueSettings)


def legacy_queue(model: type[QueueT]) -> QueueT:
    """The one queue of the first VoTT-train: Service Bus if its variables are set and no storage account's are."""
    service_bus = _is_any_set("AZURE_SERVICE_BUS_NAMESPACE", "AZURE_SERVICE_BUS_CONNECTION_STRING")
    storage = _is_any_set("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING")
    kind, variable = (
        ("serviceBus", "AZURE_SERVICE_BUS_QUEUE_NAME")
        if service_bus and not storage
        else ("storage", "AZURE_STORAGE_QUEUE_NAME")
    )
    try:
        return model.model_validate({"kind": kind, "name": os.environ.get(variable) or "training"})
    except ValidationError as error:
        raise SettingsError(f"{variable} {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def legacy_plugins(plugins: PluginSettings) -> PluginSettings:
    """The plugins, with VOTT_TRAIN_PLUGIN as the default if it is set."""
    default = os.environ.get("VOTT_TRAIN_PLUGIN")
    if not default:
        return plugins
    allowed = [*plugins.allowed, *([] if default in plugins.allowed else [default])]
    return PluginSettings(default=default, allowed=allowed)


def _is_any_set(*names: str) -> bool:
    return any(os.environ.get(name) for name in names)
