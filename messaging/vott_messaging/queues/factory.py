"""Open the queue, or its dead letters, that the settings describe."""

from vott_messaging.queues.base import DeadLetters, QueueSource
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.dead_letters import ServiceBusDeadLetters
from vott_messaging.queues.service_bus.queue import ServiceBusQueue
from vott_messaging.queues.storage.poison_queue import StoragePoisonQueue
from vott_messaging.queues.storage.queue import StorageQueue
from vott_messaging.settings.queue import QueueSettings


def open_source(queue: QueueSettings) -> QueueSource:
    """The queue's messages. Connects on first use; raises SettingsError when the credentials can't be used."""
    credentials = Credentials(queue.credentials_dir)
    return ServiceBusQueue(queue, credentials) if queue.kind == "serviceBus" else StorageQueue(queue, credentials)


def open_dead_letters(queue: QueueSettings) -> DeadLetters:
    """The queue's dead letters. Connects on first use; raises SettingsError when the credentials can't be used."""
    credentials = Credentials(queue.credentials_dir)
    if queue.kind == "serviceBus":
        return ServiceBusDeadLetters(queue, credentials)
    return StoragePoisonQueue(queue, credentials)
