"""A storage client for many calls at a time, which outlives a change of credentials for as long as a call is under way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from azure.storage.queue.aio import QueueClient

from vott_operator.queues.base import Connection


class StorageConnection:
    """Opens the client when it is first needed, and another when `fingerprint` says that the credentials changed."""

    def __init__(self, open_: Callable[[], QueueClient], fingerprint: Callable[[], Hashable]) -> None:
        self._connection = Connection(lambda: _Shared(open_()), _Shared.give_up, fingerprint)
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[QueueClient]:
        """The client for the credentials of now, for one call. Raises SettingsError when those can't be used."""
        async with self._opening:
            shared = await self._connection.client()
            shared.users += 1
        try:
            yield shared.client
        finally:
            await shared.leave()

    async def close(self) -> None:
        """Close the client, if one is open, once its last call is done."""
        async with self._opening:
            await self._connection.close()


class _Shared:
    def __init__(self, client: QueueClient) -> None:
        self.client = client
        self.users = 0
        self._is_given_up = False

    async def leave(self) -> None:
        self.users -= 1
        await self._close_when_unused()

    async def give_up(self) -> None:
        self._is_given_up = True
        await self._close_when_unused()

    async def _close_when_unused(self) -> None:
        if self._is_given_up and not self.users:
            await self.client.close()
