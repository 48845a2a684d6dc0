"""Azure Service Bus connection and its recovery: reconnect when the link breaks or the credentials change.

Not for concurrent use: when the connection breaks, each concurrent call of azure-servicebus opens another link, and links
that are not closed keep receiving messages.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError, MessageNotFoundError

from vott_messaging.errors import SettingsError, SourceUnavailableError
from vott_messaging.queues.cancellation import run_to_completion
from vott_messaging.queues.connection import Connection
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.authentication import service_bus_client, service_bus_host
from vott_messaging.queues.service_bus.errors import service_bus_errors
from vott_messaging.settings.queue import QueueSettings

CALL_SECONDS = 30.0
CLOSE_SECONDS = 5.0

T = TypeVar("T")
Call = Callable[[ServiceBusReceiver], Awaitable[T]]


class LockLostError(Exception):
    """The lock on the message was lost, or the message is settled already."""


@dataclass(frozen=True, slots=True)
class _OpenReceiver:
    client: ServiceBusClient
    receiver: ServiceBusReceiver


class ServiceBusConnection:
    """A receiver of one queue, for one call at a time.

    Raises SettingsError when the credentials are incomplete or malformed.
    """

    def __init__(self, queue: QueueSettings, credentials: Credentials) -> None:
        self.identity = _identity(queue, credentials)
        self.lock = asyncio.Lock()
        """Hold it for `use` and `close`."""
        self.has_link_credit = False
        """Whether the service may push more messages to the receiver. Set by the caller, reset when closed."""
        self._settings = queue
        self._credentials = credentials
        self._connection = Connection(self._open, _close, credentials.fingerprint)

    def _open(self) -> _OpenReceiver:
        if _identity(self._settings, self._credentials) != self.identity:
            # The trainings' names derive from the identity, so it must not change while messages are locked.
            raise SettingsError(f"{self.identity}: the credentials are now for another namespace; restart the operator")
        # No retries by the client: it would retry over the connection that just broke.
        client = service_bus_client(self._settings, self._credentials, retry_total=0)
        return _OpenReceiver(client, client.get_queue_receiver(self._settings.name))

    async def run_to_completion(self, call: Call[T]) -> T:
        """Hold the lock for one call and ignore cancellation: half an exchange would confuse the next call."""

        async def locked() -> T:
            async with self.lock:
                return await self.use(call)

        return await run_to_completion(locked())

    async def use(self, call: Call[T]) -> T:
        """Call the receiver; once more over a new connection when the open one proves to be broken.

        A message can be settled over another connection than it came from: the client then uses its lock token.
        Raises LockLostError, or SourceUnavailableError.
        """
        was_open = not self._connection.is_stale
        try:
            return await self._use_once(call)
        except SourceUnavailableError:
            if not was_open:
                raise
            return await self._use_once(call)

    async def close(self) -> None:
        """Close the receiver, if one is open. Ignores cancellation: a connection left open keeps receiving messages."""
        self.has_link_credit = False
        await run_to_completion(self._connection.close())

    async def _use_once(self, call: Call[T]) -> T:
        try:
            with service_bus_errors(self.identity, self._credentials):
                return await self._call(call)
        except SourceUnavailableError:
            await self.close()
            raise

    async def _call(self, call: Call[T]) -> T:
        try:
            opened = await self._connection.client()
            async with asyncio.timeout(CALL_SECONDS):
                # Settling needs an open receiver, even for a message from an earlier connection.
                return await call(await opened.receiver.__aenter__())
        except (MessageLockLostError, MessageNotFoundError, MessageAlreadySettled):
            raise LockLostError from None
        except SettingsError as error:  # temporary: the Secret may be corrected without a restart
            raise SourceUnavailableError(str(error)) from None


def _identity(queue: QueueSettings, credentials: Credentials) -> str:
    return f"servicebus://{service_bus_host(queue, credentials)}/{queue.name.lower()}"


async def _close(opened: _OpenReceiver) -> None:
    """Return prefetched messages and close; errors are ignored, because a broken connection can't be closed cleanly."""
    for close in (opened.receiver.close, opened.client.close):
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await close()
