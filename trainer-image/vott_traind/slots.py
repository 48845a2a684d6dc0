"""The slots that are free, and who gets the next one."""

import asyncio
from collections.abc import Sequence

from vott_traind.devices import Slot


class Slots:
    """Hands out slots in the order of the requests."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._free: asyncio.Queue[Slot] = asyncio.Queue()
        for slot in slots:
            self._free.put_nowait(slot)

    async def take(self) -> Slot:
        """Wait for a slot; `release` it after use."""
        return await self._free.get()

    def release(self, slot: Slot) -> None:
        """Give a slot back."""
        self._free.put_nowait(slot)
