"""Senders of valid messages, one per queue, that record exactly what they have sent."""

import base64
import json
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Any, Protocol, Self

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender
from azure.storage.queue import QueueClient

from tests.support.service_bus_broker import ServiceBusBroker

SEND_ATTEMPTS = 5


class QueueWriter(Protocol):
    """Sends messages to one queue."""

    def send(self, body: str) -> str:
        """Send a message and return its id."""

    def close(self) -> None:
        """Close the connection; the next message opens a new one."""


class StorageQueueWriter:
    """Sends to a storage queue; creates it if missing."""

    def __init__(self, connection_string: str, name: str) -> None:
        self._address = (connection_string, name)
        self._client = QueueClient.from_connection_string(*self._address)
        with suppress(ResourceExistsError):
            self._client.create_queue()

    def send(self, body: str) -> str:
        """Send a message and return the id that the service assigns."""
        return str(self._client.send_message(body, time_to_live=-1).id)

    def unsettled(self) -> int:
        """Number of messages in the queue, including locked ones."""
        return self._client.get_queue_properties().approximate_message_count or 0

    def close(self) -> None:
        """Close the connection; the next message opens a new one."""
        self._client.close()
        self._client = QueueClient.from_connection_string(*self._address)


class ServiceBusWriter:
    """Sends to a Service Bus queue with duplicate detection, so that a message is safely resent under the same id."""

    def __init__(self, broker: ServiceBusBroker, name: str, seed: int) -> None:
        self._broker = broker
        self._name = name
        self._random = random.Random(seed)
        self._client: ServiceBusClient | None = None
        self._sender: ServiceBusSender | None = None

    def send(self, body: str) -> str:
        """Send a message with a new id; retry when the connection breaks."""
        message = ServiceBusMessage(body, message_id=str(uuid.UUID(int=self._random.getrandbits(128))))
        for attempts_left in reversed(range(SEND_ATTEMPTS)):
            try:
                self._open().send_messages(message)
                break
            except AzureError:
                self.close()
                if not attempts_left:
                    raise
        return str(message.message_id)

    def _open(self) -> ServiceBusSender:
        if self._client is None or self._sender is None:
            self._client = ServiceBusClient.from_connection_string(self._broker.connection_string, retry_total=0)
            self._sender = self._client.get_queue_sender(self._name)
        return self._sender

    def close(self) -> None:
        """Close the connection; the next message opens a new one."""
        for part in (self._sender, self._client):
            with suppress(Exception):  # closing a broken connection fails
                if part is not None:
                    part.close()
        self._client = self._sender = None


class Sender:
    """Sends `total` messages from its own thread, never more than `allow` permits so far."""

    def __init__(self, writer: QueueWriter, total: int) -> None:
        self.sent: list[str] = []
        self.error: Exception | None = None
        self._writer = writer
        self._total = total
        self._allowed = 0
        self._changed = Condition()
        self._sending = Lock()
        self._is_paused = False
        self._is_stopped = False
        self._thread = Thread(target=self._run, name=type(writer).__name__, daemon=True)

    def allow(self, fraction: float) -> None:
        """Permit sending this fraction of all messages."""
        with self._changed:
            self._allowed = round(self._total * fraction)
            self._changed.notify_all()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing within the block: a killed service may lose unacknowledged messages, which no test can count."""
        with self._changed:
            self._is_paused = True
        try:
            with self._sending:
                self._writer.close()
                yield
        finally:
            with self._changed:
                self._is_paused = False
                self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until all messages are sent. Raises AssertionError on a timeout, or the sender's error."""
        self.allow(1)
        self._thread.join(seconds)
        if self.error:
            raise self.error
        assert len(self.sent) == self._total, f"{len(self.sent)} of {self._total} messages were sent in {seconds:.0f} s"

    def _run(self) -> None:
        try:
            for number in range(self._total):
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._is_stopped or (not self._is_paused and len(self.sent) < self._allowed)
                    )
                    if self._is_stopped:
                        return
                with self._sending:
                    self.sent.append(self._writer.send(_body(number)))
        except Exception as error:  # raised by `finish` in the test's thread
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._thread.join()
        self._writer.close()


def _body(number: int) -> str:
    """A valid message, in each accepted form in turn."""
    query = "?sig=S" if number % 2 else ""
    fields: dict[str, Any] = {"annotations": f"https://host/{number}.csv{query}", "model": "https://store/models"}
    if number % 3 == 0:
        fields = {"projectId": "chaos", "requestId": number, "url": f"https://host/{number}.csv{query}"}
    text = json.dumps(fields)
    return base64.b64encode(text.encode()).decode() if number % 5 == 0 else text
