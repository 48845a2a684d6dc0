"""Queues of Azurite and of the Service Bus broker, with their dead letters, through the services' own clients."""

import itertools
from typing import Any, Protocol

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage
from azure.storage.queue import QueueClient

from localcluster.azurite import Azurite
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from vott_messaging.queues.storage.poison_message import PoisonMessage, format_poison_message, parse_poison_message
from vott_messaging.queues.storage.poison_queue import MAX_BATCH

numbers = itertools.count(1)


class AzureQueue(Protocol):
    """A queue with its dead letters."""

    settings: dict[str, Any]
    environment: dict[str, str]

    def dead_letter(
        self, *bodies: str, reason: str = "InvalidMessage", message: str = "It can't be read."
    ) -> list[str]:
        """Dead-letter messages as the operator does; return their ids."""

    def send(self, *bodies: str) -> None:
        """Send messages as VoTT does."""

    def waiting(self) -> list[str]:
        """Bodies of the messages in the queue."""

    def dead_letters(self) -> list[str]:
        """Bodies of the dead letters."""


class AzuriteQueue:
    """A storage queue of Azurite."""

    def __init__(self, azurite: Azurite) -> None:
        self.name = f"commands-{next(numbers)}"
        self.settings = {"kind": "storage", "name": self.name}
        self.environment = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
        self.queue, self.poison = (
            QueueClient.from_connection_string(azurite.connection_string, self.name + end) for end in ("", "-poison")
        )
        self.queue.create_queue()
        self.poison.create_queue()

    def dead_letter(
        self, *bodies: str, reason: str = "InvalidMessage", message: str = "It can't be read."
    ) -> list[str]:
        texts = [
            format_poison_message(PoisonMessage(body, reason, message, queue=self.name, message_id="m-1"))
            for body in bodies
        ]
        return [str(self.poison.send_message(text, time_to_live=-1).id) for text in texts]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.queue.send_message(body)

    def waiting(self) -> list[str]:
        return [str(item.content) for item in self.queue.peek_messages(MAX_BATCH)]

    def dead_letters(self) -> list[str]:
        return [parse_poison_message(str(item.content)).body for item in self.poison.peek_messages(MAX_BATCH)]


class BrokerQueue:
    """A queue of the Service Bus broker."""

    def __init__(self, broker: ServiceBusBroker) -> None:
        self.name = f"commands-{next(numbers)}"
        self.settings = {"kind": "serviceBus", "name": self.name}
        self.environment = {"AZURE_SERVICE_BUS_CONNECTION_STRING": broker.connection_string}
        self.broker = broker
        self.ids = itertools.count(1)
        broker.add_queue(self.name, QueueOptions(duplicate_detection_seconds=600))

    def dead_letter(
        self, *bodies: str | bytes, reason: str = "InvalidMessage", message: str = "It can't be read."
    ) -> list[str]:
        self.send(*bodies)
        with self.client() as client, client.get_queue_receiver(self.name) as receiver:
            for _ in bodies:
                (received,) = receiver.receive_messages(1, max_wait_time=30)
                receiver.dead_letter_message(received, reason=reason, error_description=message)
        return [str(item.sequence_number) for item in self.broker.dead_letters(self.name)][-len(bodies) :]

    def send(self, *bodies: str | bytes) -> None:
        properties: dict[str | bytes, Any] = {"team": "cats"}
        messages = [
            ServiceBusMessage(
                body,
                message_id=f"m-{next(self.ids)}",
                content_type="application/json",
                application_properties=properties,
            )
            for body in bodies
        ]
        with self.client() as client, client.get_queue_sender(self.name) as sender:
            sender.send_messages(messages)

    def waiting(self) -> list[str]:
        return [item.body.decode() for item in self.broker.messages(self.name)]

    def dead_letters(self) -> list[str]:
        return [item.body.decode() for item in self.broker.dead_letters(self.name)]

    def receive(self) -> ServiceBusReceivedMessage:
        """Receive the only message, and dead-letter it."""
        with self.client() as client, client.get_queue_receiver(self.name) as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=30)
            receiver.dead_letter_message(message, reason="InvalidMessage")
            return message

    def client(self) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self.broker.connection_string)
