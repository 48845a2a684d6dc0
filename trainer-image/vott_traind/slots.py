"""The slots that are free, and leases on them."""

import asyncio
from collections.abc import Sequence

from vott_traind.devices import Slot


class Lease:
    """The right to train in a slot, until it is released or handed over."""

    def __init__(self, slots: "Slots", slot: Slot) -> None:
        self._slots = slots
        self._slot: Slot | None = slot

    @property
    def slot(self) -> Slot:
        """The slot, while the lease lasts."""
        assert self._slot is not None
        return self._slot

    def hand_over(self) -> "Lease":
        """Return another lease in place of this one, which ends."""
        slot, self._slot = self.slot, None
        return Lease(self._slots, slot)

    def release(self) -> None:
        """Give the slot back, unless the lease has ended."""
        if self._slot is not None:
            self._slots.free(self._slot)
            self._slot = None


class Slots:
    """Hands out the slots in the order of the requests, so that no queue takes them all."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._free = list(slots)
        self._order = asyncio.Semaphore(len(slots))  # fair, which asyncio.Queue is not

    async def take(self) -> Lease:
        """Wait for a slot."""
        await self._order.acquire()
        return Lease(self, self._free.pop(0))

    def free(self, slot: Slot) -> None:
        """Make a slot free; called by its lease."""
        self._free.append(slot)
        self._order.release()
