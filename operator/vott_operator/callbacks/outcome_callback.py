"""The outcome callback: posted until it is delivered, refused or given up, and recorded in the condition CallbackDelivered."""

import logging
from collections.abc import Callable
from datetime import datetime

from vott_guard.backoff import Backoff
from vott_messaging import names
from vott_messaging.callbacks.payload import payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError
from vott_messaging.settings.callbacks import CallbackSettings
from vott_operator import metrics
from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.report import progress_report
from vott_operator.callbacks.retry_backoff import BACKOFF, RetrySchedule
from vott_operator.callbacks.url import callback_url
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import record_event
from vott_operator.cluster.store import Store
from vott_operator.decisions.outcome import Outcome, pending_outcome
from vott_operator.decisions.status_patch import condition_patch
from vott_operator.decisions.transition_events import Event
from vott_operator.errors import ConflictError, NotFoundError

logger = logging.getLogger(__name__)

POSTING_SECONDS = 0.5
"""Pause while a progress callback is being posted."""


class OutcomeCallbacks:
    """Posts outcomes. `send` has a WorkQueue to itself, so that slow receivers delay no training."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        sender: CallbackSender,
        settings: CallbackSettings,
        clock: Callable[[], datetime],
        is_posting_progress: Callable[[Key], bool] = lambda _: False,
        backoff: Backoff = BACKOFF,
    ) -> None:
        """While `is_posting_progress` is true the outcome waits, because no progress may arrive after it."""
        self._cluster = cluster
        self._store = store
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._is_posting_progress = is_posting_progress
        self._retries = RetrySchedule(backoff)

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
        metrics.CALLBACKS.labels(delivered.reason).inc()
        await self._record(trainingjob, delivered)
        return delay

    def _outcome(self, trainingjob: TrainingJob) -> Outcome | None:
        return pending_outcome(trainingjob, self._settings, self._clock()) if trainingjob.finished else None

    async def _attempt(self, trainingjob: TrainingJob, outcome: Outcome) -> tuple[ConditionUpdate, float | None]:
        """Post once. Returns the condition to record and the seconds until the next attempt."""
        try:
            url = await callback_url(self._cluster, trainingjob)
            progress = trainingjob.status.progress
            report = progress_report(progress) if progress else None
            body = payload(trainingjob.metadata.name, outcome.state, outcome.message, report)
            await self._sender.send(url, names.webhook_id(trainingjob.metadata.uid, outcome.state), body)
        except CallbackError as error:
            return self._undelivered(trainingjob, outcome, error)
        message = f"The callback accepted the outcome ({outcome.state})."
        return ConditionUpdate(c.CALLBACK_DELIVERED, "True", c.DELIVERED, message), None

    def _undelivered(
        self, trainingjob: TrainingJob, outcome: Outcome, error: CallbackError
    ) -> tuple[ConditionUpdate, float | None]:
        if error.permanent or outcome.give_up:
            reason = c.DELIVERY_REFUSED if error.permanent else c.DELIVERY_GIVEN_UP
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
        logger.info("%s: callback %s: %s", trainingjob.key, delivered.reason, delivered.message)
