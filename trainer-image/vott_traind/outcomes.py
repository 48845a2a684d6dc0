"""Outcome callbacks: posted beside the trainings until they are delivered, refused or given up. A restart goes on with them."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from vott_guard.backoff import Backoff
from vott_messaging import names
from vott_messaging.callbacks.host_limits import Attempt
from vott_messaging.callbacks.payload import payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError, PostponedError
from vott_traind.metrics import Metrics
from vott_traind.records import Record, Records

logger = logging.getLogger(__name__)

BACKOFF = Backoff(first=2.0, longest=600.0)
WAIT_SECONDS = 30.0
"""How long an attempt waits for its turn before it is checked whether it has become the last."""


class Outcomes:
    """Posts the outcomes of trainings. A record's `callback` is set until its outcome is settled."""

    def __init__(
        self,
        records: Records,
        sender: CallbackSender,
        metrics: Metrics,
        give_up_after_seconds: float,
        *,
        clock: Callable[[], float] = time.time,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._records = records
        self._sender = sender
        self._metrics = metrics
        self._give_up_after_seconds = give_up_after_seconds
        self._clock = clock
        self._backoff = backoff
        self._posting: dict[str, asyncio.Task[None]] = {}

    def resume(self) -> None:
        """Go on with the outcomes of earlier daemons."""
        for record in self._records.with_pending_callback():
            self.post(record)

    def post(self, record: Record) -> None:
        """Post the outcome of a training, unless that goes on already."""
        if record.callback and record.name not in self._posting:
            task = asyncio.create_task(self._deliver(record, record.callback), name=f"outcome of {record.name}")
            self._posting[record.name] = task
            self._metrics.callbacks_pending.set(len(self._posting))
            task.add_done_callback(lambda done: self._end(record.name, done))

    async def close(self, seconds: float) -> None:
        """Wait for the attempts that go on, at most `seconds`; the next daemon makes the others."""
        if self._posting:
            await asyncio.wait(self._posting.values(), timeout=seconds)
        tasks = list(self._posting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, name: str, task: "asyncio.Task[None]") -> None:
        del self._posting[name]
        self._metrics.callbacks_pending.set(len(self._posting))
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: %s; the next start tries again", task.get_name(), error, exc_info=error)

    async def _deliver(self, record: Record, url: str) -> None:
        assert record.outcome is not None
        body = payload(record.name, record.outcome, record.message, record.report)
        result = await self._post_until_settled(record, url, names.webhook_id(record.name, record.outcome), body)
        self._metrics.callbacks.labels(result).inc()
        self._records.put(replace(record, callback=None))

    async def _post_until_settled(self, record: Record, url: str, webhook_id: str, body: dict[str, object]) -> str:
        failures = 0
        while True:
            overdue = self._clock() - record.ended > self._give_up_after_seconds
            attempt = Attempt.LAST if overdue else Attempt.RETRY if failures else Attempt.FIRST
            try:
                await self._sender.send(url, webhook_id, body, attempt, WAIT_SECONDS)
            except PostponedError:
                continue
            except CallbackError as error:
                if error.permanent:
                    logger.warning("%s: the outcome was refused: %s", record.name, error)
                    return "refused"
                if overdue:
                    logger.warning("%s: the outcome is given up: %s", record.name, error)
                    return "given_up"
                failures += 1
                delay = error.retry_after or self._backoff.seconds(failures)
                logger.warning(
                    "%s: the outcome was not delivered: %s; trying again in %.0f s", record.name, error, delay
                )
                await asyncio.sleep(delay)
            else:
                logger.info("%s: the callback accepted the outcome (%s)", record.name, record.outcome)
                return "delivered"
