"""A client that reconnects when its credentials change (credential rotation)."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

ClientT = TypeVar("ClientT")


class Connection(Generic[ClientT]):
    """A client that is opened on first use, and opened again when `fingerprint` changes.

    Not for concurrent use; `storage/connection.py` is.
    """

    def __init__(
        self,
        open_: Callable[[], ClientT],
        close: Callable[[ClientT], Awaitable[None]],
        fingerprint: Callable[[], Hashable],
    ) -> None:
        self._open = open_
        self._close = close
        self._fingerprint = fingerprint
        self._client: ClientT | None = None
        self._opened_with: Hashable = None

    @property
    def is_stale(self) -> bool:
        """Whether the next `client()` opens another client."""
        return self._client is None or self._opened_with != self._fingerprint()

    async def client(self) -> ClientT:
        """The client for the current credentials. Raises SettingsError when they can't be used."""
        if self._client is not None and not self.is_stale:
            return self._client
        await self.close()
        self._opened_with = self._fingerprint()
        self._client = self._open()
        return self._client

    async def close(self) -> None:
        """Close the client, if one is open. The next `client()` opens another."""
        client, self._client = self._client, None
        if client is not None:
            await self._close(client)
