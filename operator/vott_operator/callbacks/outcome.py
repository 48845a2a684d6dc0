"""The last word to the callback: said until it is heard, refused or given up, and recorded in CallbackDelivered."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.conditions import Finding
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.sender import CallbackSender, payload
from vott_operator.callbacks.url import callback_url
from vott_operator.cluster.client import Cluster, try_to_record
from vott_operator.cluster.store import Store
from vott_operator.decisions.notes import CallbackNote, EventNote
from vott_operator.decisions.plan import plan
from vott_operator.decisions.status_patch import condition_patch
from vott_operator.errors import CallbackError, ConflictError, NotFoundError
from vott_operator.settings.operator import Settings

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 2.0
MAX_RETRY_SECONDS = 600.0
MAX_RETRY_SECONDS_OF_DELETED = 30.0
POSTING_SECONDS = 0.5
"""Until to look again whether the last report has arrived."""


class _Wait(NamedTuple):
    """Since the last attempt: how many there were, when (loop time) it was, and when the next is due."""

    uid: str
    attempts: int
    last: float
    due: float


class LastWord:
    """Delivers outcomes. `say` is the work of a WorkQueue of its own, so that a slow receiver delays nobody's training."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        callbacks: CallbackSender,
        settings: Settings,
        clock: Callable[[], datetime],
        is_posting: Callable[[Key], bool] = lambda _: False,
    ) -> None:
        """`is_posting` tells whether a report of progress is on its way: nothing may come after the last word."""
        self._is_posting = is_posting
        self._cluster = cluster
        self._store = store
        self._callbacks = callbacks
        self._settings = settings
        self._clock = clock
        self._waits: dict[Key, _Wait] = {}

    async def say(self, key: Key) -> float | None:
        """One attempt, if one is due. Returns the seconds after which to come back. Raises ClusterError when the API fails."""
        observed = self._store.observed(key)
        note = plan(observed, self._settings, self._clock()).callback if observed else None
        if observed is None or note is None:
            self._waits.pop(key, None)
            return None
        trainingjob = observed.trainingjob
        if self._is_posting(key):
            return POSTING_SECONDS
        if (remaining := self._remaining(trainingjob)) > 0:
            return remaining
        finding, delay = await self._attempt(trainingjob, note)
        await self._record(trainingjob, finding)
        return delay

    def _remaining(self, trainingjob: TrainingJob) -> float:
        # Events and resyncs trigger at any time; the backoff and a Retry-After hold all the same.
        wait = self._waits.get(trainingjob.key)
        if wait is None or wait.uid != trainingjob.metadata.uid:
            return 0.0
        due = min(wait.due, wait.last + MAX_RETRY_SECONDS_OF_DELETED) if trainingjob.deleting else wait.due
        return due - asyncio.get_running_loop().time()

    async def _record(self, trainingjob: TrainingJob, finding: Finding) -> None:
        status = condition_patch(trainingjob, finding, self._clock())
        if status is None:
            return
        if finding.reason in (c.DELIVERY_GIVEN_UP, c.DELIVERY_REFUSED):
            await self._note_giving_up(trainingjob, finding)
        try:
            self._store.put_trainingjob(await self._cluster.patch_status(trainingjob, status))
        except NotFoundError:
            self._store.drop_trainingjob(trainingjob.key, trainingjob.metadata.uid)
        except ConflictError:  # record it in what is there now
            current = await self._cluster.read_trainingjob(trainingjob.key)
            self._store.put_trainingjob(current)
            if current.metadata.uid == trainingjob.metadata.uid:
                await self._record(current, finding)
            return
        logger.info("%s: callback %s: %s", trainingjob.key, finding.reason, finding.message)

    async def _note_giving_up(self, trainingjob: TrainingJob, finding: Finding) -> None:
        """The TrainingJob itself may be on its way out; the Event stays."""
        note = EventNote("Warning", c.CALLBACK_GIVEN_UP, finding.message)
        await try_to_record(self._cluster, trainingjob, note, self._clock())

    async def _attempt(self, trainingjob: TrainingJob, note: CallbackNote) -> tuple[Finding, float | None]:
        """Post once; what to record, and the delay before the next attempt."""
        try:
            url = await callback_url(self._cluster, trainingjob)
            body = payload(trainingjob.metadata.name, note.state, note.message, trainingjob.status.progress)
            await self._callbacks.send(url, names.webhook_id(trainingjob.metadata.uid, note.state), body)
        except CallbackError as error:
            return self._undelivered(trainingjob, note, error)
        return Finding(
            c.CALLBACK_DELIVERED, "True", c.DELIVERED, f"The callback took the outcome ({note.state})."
        ), None

    def _undelivered(
        self, trainingjob: TrainingJob, note: CallbackNote, error: CallbackError
    ) -> tuple[Finding, float | None]:
        if error.permanent or note.give_up:
            reason = c.DELIVERY_REFUSED if error.permanent else c.DELIVERY_GIVEN_UP
            return Finding(c.CALLBACK_DELIVERED, "False", reason, f"{error}. It will not be tried again."), None
        uid, known = trainingjob.metadata.uid, self._waits.get(trainingjob.key)
        attempts = known.attempts + 1 if known is not None and known.uid == uid else 1
        delay = error.retry_after or min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, 12))
        if trainingjob.deleting:
            delay = min(delay, MAX_RETRY_SECONDS_OF_DELETED)
        now = asyncio.get_running_loop().time()
        self._waits[trainingjob.key] = _Wait(uid, attempts, now, now + delay)
        return Finding(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING, f"{error}. It is tried again."), delay
