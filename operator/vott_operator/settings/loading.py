"""Load the settings from file and environment."""

import os
from pathlib import Path

import yaml
from pydantic import ValidationError

from vott_messaging.errors import SettingsError
from vott_messaging.settings.explanation import explain
from vott_messaging.settings.legacy_environment import legacy_plugins, legacy_queue
from vott_operator.settings.operator import CONFIG_ENV, Settings
from vott_operator.settings.queue import OperatorQueueSettings

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def load() -> Settings:
    """Load the settings. `objects.preflight` checks what only trainings need.

    Raises:
        SettingsError: something is wrong; the text names every wrong setting.
    """
    file = os.environ.get(CONFIG_ENV)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_ENV} names {file}, which is not a file")
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(f"settings ({source()}): {explain(error)}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        text = " ".join(str(error).split())
        raise SettingsError(f"settings ({source()}) can't be read: {text}") from None
    return settings.model_copy(
        update={
            "queues": settings.queues or [legacy_queue(OperatorQueueSettings)],
            "namespace": settings.namespace or _own_namespace(),
            "plugins": legacy_plugins(settings.plugins),
        }
    )


def source() -> str:
    """Where the settings come from, for error texts: the file's path, or "environment"."""
    return os.environ.get(CONFIG_ENV) or "environment"


def _own_namespace() -> str:
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"
