"""Containers and message of one demo run, and their removal."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueMessage

from demo.consumer import Consumer
from demo.storage import Storage, send


@dataclass
class Session:
    """Containers and message of one run. Their names contain a random id, so that runs don't collide."""

    storage: Storage
    queue: str
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    sent: QueueMessage | None = None

    @property
    def images(self) -> str:
        """Container of the images and `annotations.csv`."""
        return f"demo-{self.id}"

    @property
    def models(self) -> str:
        """Container of the model."""
        return f"demo-{self.id}-model"

    def create_containers(self) -> None:
        """Create both containers."""
        self.storage.create_container(self.images)
        self.storage.create_container(self.models)

    def send(self, annotations: str, status: str | None, plugin: str | None, parameters: dict[str, Any]) -> str:
        """Send the message as VoTT writes it; return its id."""
        model = self.storage.container_url(self.models)
        message: dict[str, Any] = {"annotations": annotations, "model": model, "status": status}
        message |= {"plugin": plugin, "parameters": parameters}
        self.sent = send(self.storage.queue(self.queue), {key: value for key, value in message.items() if value})
        return str(self.sent.id)

    def remove_containers(self) -> None:
        """Delete both containers."""
        self.storage.delete_container(self.images)
        self.storage.delete_container(self.models)

    def cancel(self, consumer: Consumer) -> None:
        """Delete the message, or stop its training."""
        if self.sent is None:
            return
        with suppress(HttpResponseError):  # the consumer has received it
            self.storage.queue(self.queue).delete_message(self.sent.id, self.sent.pop_receipt)
        consumer.cancel(str(self.sent.id))
