"""Progress callbacks, where callbacks are signed: the daemon posts for the trainers, which have no signing key.

Each report is posted at most once, and only the newest: the next report replaces one that is lost.
"""

import asyncio
import dataclasses
import json
import logging

from vott_guard.backoff import Backoff
from vott_guard.callback_payload import in_fold
from vott_messaging import names
from vott_messaging.callbacks.payload import ProgressReport, payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
BACKOFF = Backoff(first=2 * INTERVAL_SECONDS, longest=60.0)
"""For a receiver that does not accept reports."""
PAUSE_FACTOR = 4.0
"""Pause after a post, as a multiple of its duration: slow receivers must not occupy all workers."""


class ProgressCallbacks:
    """Posts the progress of all trainings."""

    def __init__(self, sender: CallbackSender, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._sender = sender
        self._interval_seconds = interval_seconds

    def receiver(self, name: str, url: str | None) -> "ProgressReceiver | None":
        """The receiver of one training; None if its message has no callback."""
        return ProgressReceiver(self._sender, name, url, self._interval_seconds) if url else None


class ProgressReceiver:
    """The callback of one training."""

    def __init__(self, sender: CallbackSender, name: str, url: str, interval_seconds: float) -> None:
        self._sender = sender
        self._name = name
        self._url = url
        self._interval_seconds = interval_seconds
        self._newest: ProgressReport | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._run(), name=f"progress callbacks of {name}")

    def report(self, report: ProgressReport) -> None:
        """Post this report, as soon as one may be posted, unless a newer one replaces it."""
        if report != self._newest:
            self._newest = report
            self._changed.set()

    async def close(self) -> None:
        """Post nothing more, and wait for the post that is on its way: no progress may arrive after the outcome."""
        self._closed = True
        self._changed.set()
        await self._task

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._closed or self._newest is None:
                return
            started = asyncio.get_running_loop().time()
            try:
                await self._post(self._newest)
                failures, pause = 0, self._interval_seconds
            except CallbackError as error:
                failures += 1
                if failures == 1 or error.permanent:
                    logger.warning("%s: progress not delivered, training goes on: %s", self._name, error)
                if error.permanent:
                    return
                pause = BACKOFF.seconds(failures)
            duration = asyncio.get_running_loop().time() - started
            await self._pause(max(pause, PAUSE_FACTOR * duration))

    async def _post(self, report: ProgressReport) -> None:
        body = payload(self._name, "running", _message(report), report)
        webhook_id = names.report_id(self._name, json.dumps(dataclasses.asdict(report)))
        await self._sender.send(self._url, webhook_id, body)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until `close`."""
        end = asyncio.get_running_loop().time() + seconds
        while not self._closed and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 0.1))


def _message(report: ProgressReport) -> str:
    if report.epoch_current and report.epoch_total:
        text = f"Epoch {report.epoch_current} of {report.epoch_total}"
        return in_fold(text, report.fold_current or 1, report.fold_total or 1)
    return "Training"
