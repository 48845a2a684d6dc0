"""The outcome callback: posted until it is delivered, refused or given up, and recorded in the condition CallbackDelivered."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from vott_guard.backoff import Backoff
from vott_guard.log_format import fields
from vott_messaging import names
from vott_messaging.callbacks.host_limits import Attempt
from vott_messaging.callbacks.payload import payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError, PostponedError
from vott_messaging.settings.callbacks import CallbackSettings
from vott_operator import metrics
from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.report import progress_report
from vott_operator.callbacks.retry_backoff import BACKOFF, RetrySchedule
from vott_operator.callbacks.url import CallbackURLs, LostURLError
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import record_event
from vott_operator.cluster.store import Store
from vott_operator.decisions.outcome import Outcome, pending_outcome
from vott_operator.decisions.status_patch import condition_patch
from vott_operator.decisions.transition_events import Event
from vott_operator.errors import ConflictError, NotFoundError
from vott_operator.tracing import NO_TRACING, Tracing

logger = logging.getLogger(__name__)

POSTING_SECONDS = 0.5
"""Pause while a progress callback is being posted."""
WAIT_SECONDS = 30.0
"""How long an attempt waits for its turn before it is checked whether the outcome is still to be sent."""
API_REQUESTS = 32
"""Requests to the API server at a time: any number of outcomes may wait for their turn."""


class OutcomeCallbacks:
    """Posts outcomes. `send` has a WorkQueue without a limit to itself: the sender limits the attempts, and slow receivers delay no training."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        urls: CallbackURLs,
        sender: CallbackSender,
        settings: CallbackSettings,
        clock: Callable[[], datetime],
        is_posting_progress: Callable[[Key], bool] = lambda _: False,
        backoff: Backoff = BACKOFF,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        """While `is_posting_progress` is true the outcome waits, because no progress may arrive after it."""
        self._cluster = cluster
        self._store = store
        self._urls = urls
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._is_posting_progress = is_posting_progress
        self._retries = RetrySchedule(backoff)
        self._tracing = tracing
        self._api_requests = asyncio.Semaphore(API_REQUESTS)

    async def send(self, key: Key) -> float | None:
        """Make one attempt if one is due. Returns the seconds until the next, if any. Raises ClusterError."""
        observed = self._store.observed(key)
        trainingjob = observed.trainingjob if observed else None
        if trainingjob is None or (outcome := self._outcome(trainingjob)) is None:
            self._retries.forget(key)
            return None
        if self._is_posting_progress(key):
            return POSTING_SECONDS
        if (remaining := self._retries.remaining_seconds(trainingjob)) > 0:
            return remaining
        delivered, delay = await self._attempt(trainingjob, outcome)
        if delivered is not None:
            metrics.CALLBACKS.labels(delivered.reason).inc()
            async with self._api_requests:
                await self._record(trainingjob, delivered)
        return delay

    def _outcome(self, trainingjob: TrainingJob) -> Outcome | None:
        return pending_outcome(trainingjob, self._settings, self._clock()) if trainingjob.finished else None

    async def _attempt(self, trainingjob: TrainingJob, outcome: Outcome) -> tuple[ConditionUpdate | None, float | None]:
        """Post once. Returns the condition to record, if any, and the seconds until the next attempt."""
        try:
            async with self._api_requests:
                url = await self._urls.read(trainingjob)
            progress = trainingjob.status.progress
            report = progress_report(progress) if progress else None
            body = payload(trainingjob.metadata.name, outcome.state, outcome.message, report)
            webhook_id = names.webhook_id(trainingjob.metadata.uid, outcome.state)
            attempt = _attempt(trainingjob, outcome)
            attributes = {"vott.trainingjob": str(trainingjob.key), "vott.outcome": outcome.state}
            with self._tracing.span("post callback", trainingjob.traceparent, "client", attributes) as traceparent:
                await self._sender.send(url, webhook_id, body, attempt, WAIT_SECONDS, traceparent)
        except PostponedError:
            return None, 0.0
        except CallbackError as error:
            return self._undelivered(trainingjob, outcome, error)
        message = f"The callback accepted the outcome ({outcome.state})."
        return ConditionUpdate(c.CALLBACK_DELIVERED, "True", c.DELIVERED, message), None

    def _undelivered(
        self, trainingjob: TrainingJob, outcome: Outcome, error: CallbackError
    ) -> tuple[ConditionUpdate, float | None]:
        if error.permanent or outcome.give_up:
            is_refused = error.permanent and not isinstance(error, LostURLError)
            reason = c.DELIVERY_REFUSED if is_refused else c.DELIVERY_GIVEN_UP
            return ConditionUpdate(c.CALLBACK_DELIVERED, "False", reason, f"{error}. It will not be tried again."), None
        delay = self._retries.postpone(trainingjob, error.retry_after)
        message = f"{error}. It will be tried again."
        return ConditionUpdate(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING, message), delay

    async def _record(self, trainingjob: TrainingJob, delivered: ConditionUpdate) -> None:
        status = condition_patch(trainingjob, delivered, self._clock())
        if status is None:
            return
        if delivered.reason in (c.DELIVERY_GIVEN_UP, c.DELIVERY_REFUSED):
            # The Event remains when the TrainingJob is deleted.
            event = Event("Warning", c.CALLBACK_GIVEN_UP, delivered.message)
            await record_event(self._cluster, trainingjob, event, self._clock())
        try:
            self._store.put_trainingjob(await self._cluster.patch_status(trainingjob, status))
        except NotFoundError:
            self._store.drop_trainingjob(trainingjob.key, trainingjob.metadata.uid)
        except ConflictError:
            current = await self._cluster.read_trainingjob(trainingjob.key)
            self._store.put_trainingjob(current)
            if current.metadata.uid == trainingjob.metadata.uid:
                await self._record(current, delivered)
            return
        log = logger.warning if delivered.status == "False" else logger.info
        log("callback: %s", delivered.message, extra=fields(reason=delivered.reason))


def _attempt(trainingjob: TrainingJob, outcome: Outcome) -> Attempt:
    if outcome.overdue:
        return Attempt.LAST
    return Attempt.FIRST if trainingjob.condition(c.CALLBACK_DELIVERED) is None else Attempt.RETRY
