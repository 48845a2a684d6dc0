"""Senders of good messages, each to one queue, that know exactly what they have sent."""

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


class Post(Protocol):
    """One queue, to send to."""

    def send(self, body: str) -> str:
        """Send a message; returns its id."""

    def close(self) -> None:
        """Close the connection; the next message opens another."""


class StoragePost:
    """A storage queue; made where it is not there."""

    def __init__(self, connection_string: str, name: str) -> None:
        self._place = (connection_string, name)
        self._client = QueueClient.from_connection_string(*self._place)
        with suppress(ResourceExistsError):
            self._client.create_queue()

    def send(self, body: str) -> str:
        """Send a message; the service gives the id."""
        return str(self._client.send_message(body, time_to_live=-1).id)

    def left(self) -> int:
        """How many messages there are, those in somebody's hand included."""
        return self._client.get_queue_properties().approximate_message_count or 0

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        self._client.close()
        self._client = QueueClient.from_connection_string(*self._place)


class ServiceBusPost:
    """A Service Bus queue with duplicate detection: what may or may not have arrived is sent again under the same id."""

    def __init__(self, broker: ServiceBusBroker, name: str, seed: int) -> None:
        self._broker = broker
        self._name = name
        self._random = random.Random(seed)
        self._client: ServiceBusClient | None = None
        self._sender: ServiceBusSender | None = None

    def send(self, body: str) -> str:
        """Send a message with an id of its own."""
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
        """Close the connection; the next message opens another."""
        for part in (self._sender, self._client):
            with suppress(Exception):  # a broken connection can't be closed well
                if part is not None:
                    part.close()
        self._client = self._sender = None


class Sender:
    """Sends `total` messages from a thread of its own, never more than it is allowed to so far."""

    def __init__(self, post: Post, total: int) -> None:
        self.sent: list[str] = []
        self.error: Exception | None = None
        self._post = post
        self._total = total
        self._allowed = 0
        self._changed = Condition()
        self._sending = Lock()
        self._held = False
        self._stopped = False
        self._thread = Thread(target=self._run, name=type(post).__name__, daemon=True)

    def allow(self, fraction: float) -> None:
        """That part of all messages may be sent from now on."""
        with self._changed:
            self._allowed = round(self._total * fraction)
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is on its way in the block: what a killed service loses unacknowledged, nobody could count."""
        with self._changed:
            self._held = True
        try:
            with self._sending:
                self._post.close()
                yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until all is sent. Raises AssertionError when that takes longer, or what went wrong."""
        self.allow(1)
        self._thread.join(seconds)
        if self.error:
            raise self.error
        assert len(self.sent) == self._total, f"{len(self.sent)} of {self._total} messages were sent in {seconds:.0f} s"

    def _run(self) -> None:
        try:
            for number in range(self._total):
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or (not self._held and len(self.sent) < self._allowed))
                    if self._stopped:
                        return
                with self._sending:
                    self.sent.append(self._post.send(_body(number)))
        except Exception as error:  # told by `finish`, in the test's own thread
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
        self._post.close()


def _body(number: int) -> str:
    """Every way to write a good message, in turn."""
    query = "?sig=S" if number % 2 else ""
    fields: dict[str, Any] = {"annotations": f"https://host/{number}.csv{query}", "model": "https://store/models"}
    if number % 3 == 0:
        fields = {"projectId": "chaos", "requestId": number, "url": f"https://host/{number}.csv{query}"}
    text = json.dumps(fields)
    return base64.b64encode(text.encode()).decode() if number % 5 == 0 else text
