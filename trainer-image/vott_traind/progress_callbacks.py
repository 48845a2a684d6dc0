"""Progress callbacks, where callbacks are signed: the daemon posts for the trainers, which have no signing key.

Of each training only the newest report is posted.
"""

import asyncio
import dataclasses
import json

from vott_guard.backoff import Backoff
from vott_messaging.callbacks.payload import ProgressReport, progress_payload
from vott_messaging.callbacks.progress_receiver import BACKOFF, ProgressReceiver
from vott_messaging.callbacks.sender import CallbackSender


class ProgressCallbacks:
    """Posts the progress of all trainings."""

    def __init__(self, sender: CallbackSender, backoff: Backoff = BACKOFF) -> None:
        self._sender = sender
        self._backoff = backoff

    def start(self, name: str, url: str | None) -> "ProgressCallback | None":
        """Start to post the progress of one training; None if its message has no callback."""
        if url is None:
            return None
        return ProgressCallback(name, url, ProgressReceiver(self._sender, name, name, self._backoff))


class ProgressCallback:
    """The callback of one training."""

    def __init__(self, name: str, url: str, receiver: ProgressReceiver) -> None:
        self._name = name
        self._url = url
        self._receiver = receiver
        self._newest: ProgressReport | None = None
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"progress callbacks of {name}")

    def report(self, report: ProgressReport) -> None:
        """Post this report as soon as one may be posted, unless a newer one replaces it."""
        self._newest = report
        self._changed.set()

    async def close(self) -> None:
        """Post nothing more, and wait for the post that is on its way: no progress may arrive after the outcome."""
        self._closed.set()
        self._changed.set()
        await self._task

    async def _run(self) -> None:
        while not self._closed.is_set():
            await self._changed.wait()
            self._changed.clear()
            await self._wait_until_due()
            if self._newest is not None and not self._closed.is_set():
                await self._post(self._newest)

    async def _wait_until_due(self) -> None:
        seconds = self._receiver.remaining_seconds
        if seconds > 0:
            await asyncio.wait({closed := asyncio.create_task(self._closed.wait())}, timeout=seconds)
            closed.cancel()

    async def _post(self, report: ProgressReport) -> None:
        text = json.dumps(dataclasses.asdict(report))
        if self._receiver.wants(text):
            await self._receiver.post(text, progress_payload(self._name, report), self._read_url)
            if self._receiver.wants(text):
                self._changed.set()

    async def _read_url(self) -> str:
        return self._url
