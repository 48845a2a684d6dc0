"""Load the settings from file and environment, and explain what is wrong with them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vott_operator.errors import SettingsError
from vott_operator.settings.legacy_environment import legacy_plugins, legacy_queue
from vott_operator.settings.operator import CONFIG_ENV, Settings

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
        problems = "; ".join(_explain(dict(item)) for item in error.errors(include_url=False))
        raise SettingsError(f"settings ({source()}): {problems}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        text = " ".join(str(error).split())
        raise SettingsError(f"settings ({source()}) can't be read: {text}") from None
    return settings.model_copy(
        update={
            "queues": settings.queues or [legacy_queue()],
            "namespace": settings.namespace or _own_namespace(),
            "plugins": legacy_plugins(settings.plugins),
        }
    )


def source() -> str:
    """Where the settings come from, for error texts: the file's path, or "environment"."""
    return os.environ.get(CONFIG_ENV) or "environment"


def _own_namespace() -> str:
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"


def _explain(error: Mapping[str, Any]) -> str:
    """A sentence that starts with the setting's path, such as queues[1].model."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]]
    path = "".join(parts).removeprefix(".")
    text = "unknown setting" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    # A validator's text may go on with the path, or name several settings itself.
    if not path or text.startswith(("[", ".")):
        return f"{path}{text}"
    return f"{path}{' ' if error['type'] == 'value_error' else ': '}{text}"
