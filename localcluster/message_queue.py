"""Create the message queue in Azurite."""

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient


def ensure_queue(connection_string: str, name: str) -> None:
    """Create the queue if it is missing."""
    with QueueServiceClient.from_connection_string(connection_string) as service:
        try:
            service.create_queue(name)
        except ResourceExistsError:
            return
