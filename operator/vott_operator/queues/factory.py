"""Which source a queue's settings mean."""

from ..credentials import Credentials
from ..settings import QueueSettings
from .base import DeadLetters, QueueSource
from .service_bus import ServiceBusQueue
from .service_bus_dead_letters import ServiceBusDeadLetters
from .storage_poison import StoragePoison
from .storage_queue import StorageQueue


def open_source(queue: QueueSettings) -> QueueSource:
    """The queue's messages. Connects when first used; raises SettingsError when its credentials can't be used."""
    credentials = Credentials(queue.credentials_dir)
    return ServiceBusQueue(queue, credentials) if queue.kind == "serviceBus" else StorageQueue(queue, credentials)


def open_dead_letters(queue: QueueSettings) -> DeadLetters:
    """What was put aside from the queue. Connects when first used; raises SettingsError as `open_source`."""
    credentials = Credentials(queue.credentials_dir)
    if queue.kind == "serviceBus":
        return ServiceBusDeadLetters(queue, credentials)
    return StoragePoison(queue, credentials)
