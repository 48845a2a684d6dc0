"""Load the settings from file and environment, with what is not in them."""

from pathlib import Path

from vott_messaging.settings import program
from vott_messaging.settings.legacy_environment import legacy_plugins, legacy_queue
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def load() -> Settings:
    """Load the settings. `objects.preflight` checks what only trainings need.

    Raises:
        SettingsError: something is wrong; the text names every wrong setting.
    """
    settings = program.load(Settings)
    return settings.model_copy(
        update={
            "queues": settings.queues or [legacy_queue(OperatorQueueSettings)],
            "namespace": settings.namespace or _own_namespace(),
            "plugins": legacy_plugins(settings.plugins),
        }
    )


def _own_namespace() -> str:
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"
