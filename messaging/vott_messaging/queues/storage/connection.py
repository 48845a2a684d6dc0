"""A storage client shared by concurrent calls; credential rotation closes the old client after its last call."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from azure.storage.queue.aio import QueueClient

from vott_messaging.queues.connection import Connection


class StorageConnection:
    """Opens the client on first use, and another one when `fingerprint` changes."""

    def __init__(self, open_: Callable[[], QueueClient], fingerprint: Callable[[], Hashable]) -> None:
        self._connection = Connection(lambda: _SharedClient(open_()), _SharedClient.retire, fingerprint)
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[QueueClient]:
        """The client for the current credentials, for one call. Raises SettingsError when they can't be used."""
        async with self._opening:
            shared = await self._connection.client()
            shared.users += 1
        try:
            yield shared.client
        finally:
            await shared.leave()

    async def close(self) -> None:
        """Close the client, if one is open, after its last call."""
        async with self._opening:
            await self._connection.close()


class _SharedClient:
    def __init__(self, client: QueueClient) -> None:
        self.client = client
        self.users = 0
        self._is_retired = False

    async def leave(self) -> None:
        self.users -= 1
        await self._close_if_unused()

    async def retire(self) -> None:
        self._is_retired = True
        await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if self._is_retired and not self.users:
            await self.client.close()
