"""The receiver of one training's progress callbacks: when it gets the next report, and whether it wants any.

Each report is posted at most once: the next one replaces one that is lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from vott_guard.backoff import Backoff
from vott_messaging import names
from vott_messaging.callbacks.host_limits import Attempt
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError, PostponedError

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
BACKOFF = Backoff(first=2 * INTERVAL_SECONDS, longest=60.0)
"""For a receiver that does not accept reports."""
PAUSE_FACTOR = 4.0
"""Pause after a post, as a multiple of its duration: slow receivers must not occupy all workers."""


class ProgressReceiver:
    """Posts the reports of one training. Not for concurrent use; times are the event loop's.

    A report is known by a text that tells it from others, such as its JSON.
    """

    def __init__(self, sender: CallbackSender, uid: str, training: str, backoff: Backoff = BACKOFF) -> None:
        """`uid` is part of the webhook ids; `training` is its name in the log."""
        self.uid = uid
        self._sender = sender
        self._training = training
        self._backoff = backoff
        self._url = ""
        """With its credential; cached so that not every report reads it."""
        self._posted: str | None = None
        """The last report, delivered or not."""
        self._due = 0.0
        self._failures = 0
        self._unsubscribed = False
        """Whether it answered 410 Gone, or the rules refuse it."""

    def wants(self, report: str) -> bool:
        """Whether to post this report: it is another than the last one, and the receiver is subscribed."""
        return report != self._posted and not self._unsubscribed

    @property
    def remaining_seconds(self) -> float:
        """Seconds until a report may be posted; zero or less: now."""
        return self._due - asyncio.get_running_loop().time()

    async def post(self, report: str, body: Mapping[str, Any], read_url: Callable[[], Awaitable[str]]) -> None:
        """Make one attempt, or none if it is not the receiver's turn soon; then the report is still wanted. A failure is logged.

        `read_url` is called for the first report and after failures, and may raise CallbackError.
        """
        loop = asyncio.get_running_loop()
        self._posted = report
        pause, started = INTERVAL_SECONDS, loop.time()
        try:
            self._url = self._url or await read_url()
            attempt = Attempt.RETRY if self._failures else Attempt.FIRST
            # A short wait, because the outcome waits for it.
            await self._sender.send(self._url, names.report_id(self.uid, report), body, attempt, INTERVAL_SECONDS)
            self._failures = 0
        except PostponedError:
            self._posted = None
        except CallbackError as error:
            self._count_failure(error)
            pause = self._backoff.seconds(self._failures)
        self._due = loop.time() + max(pause, PAUSE_FACTOR * (loop.time() - started))

    def _count_failure(self, error: CallbackError) -> None:
        self._failures += 1
        self._unsubscribed = error.permanent
        self._url = ""  # it may have been corrected
        if self._failures == 1 or self._unsubscribed:
            logger.warning("%s: progress not delivered, training goes on: %s", self._training, error)
