"""The operator's reconciler and outcome callbacks over the simulated cluster: late watches, delays, kills and restarts."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any

from tests.support.observed_state import settings
from tests.unit.operator.simulator import NAMESPACE, START, ApiServer, Body, Killed, SimulatedCluster
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome_callback import OutcomeCallbacks
from vott_operator.cluster.applier import PlanApplier
from vott_operator.cluster.observer import Observer
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError
from vott_operator.reconciler import Reconciler

KEY = Key(NAMESPACE, "cats")
KINDS = ("trainingjobs", "jobs", "pods")
BACKOFF_SECONDS = 1.0


class Receiver(CallbackSender):
    """Accepts all callbacks, unless it is unavailable."""

    def __init__(self) -> None:
        self.unavailable = False
        self.posts: list[tuple[str, str]] = []
        """webhook-id and state of each post."""

    async def send(self, url: str, webhook_id: str, body: Any, _traceparent: str = "") -> None:
        if self.unavailable:
            raise CallbackError(f"{url} did not answer", permanent=False)
        self.posts.append((webhook_id, body["state"]))


class Operator:
    """Reconciler and OutcomeCallbacks with a Store, wired as in handlers.py and app.py, on the API server's clock."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        api.watch = self._queue_event
        self.receiver = Receiver()
        self.cluster = SimulatedCluster(api)
        self.late_watches: set[str] = set()
        """Kinds whose events are held back."""
        self._loop = asyncio.new_event_loop()
        self._loop.time = lambda: self._seconds  # type: ignore[method-assign]
        self._settings = settings()
        self.restart()

    def close(self) -> None:
        """Close the event loop."""
        self._loop.close()

    def restart(self) -> None:
        """Replace the process: the Store is empty, and the watches begin with all existing objects."""
        self.store = Store(self._api.now)
        self.cluster.faults.clear()
        self._outcomes = OutcomeCallbacks(self.cluster, self.store, self.receiver, self._settings.callbacks, self._now)
        self._due: dict[str, float] = {}
        """When each part runs next, in seconds."""
        observer = Observer(self.cluster, self.store, self._settings.pod_settings, self._now)
        applier = PlanApplier(self.cluster, self.store, self._now, self._on_finished)
        self._reconciler = Reconciler(observer, applier, self._settings, self._now)
        self._events: dict[str, deque[tuple[str, Body]]] = {
            kind: deque(("ADDED", item) for item in self._api.all(kind)) for kind in KINDS
        }

    def _now(self) -> datetime:
        return self._api.now

    def _on_finished(self, _: Key) -> None:
        self._enqueue("outcome")

    @property
    def _seconds(self) -> float:
        return (self._api.now - START).total_seconds()

    # ---------------------------------------------------------------------------------------------------- the watches

    def _queue_event(self, event: str, plural: str, body: Body) -> None:
        if plural in KINDS:
            self._events[plural].append((event, body))

    def deliver_events(self) -> None:
        """Deliver the events of all watches that are not late."""
        for kind in KINDS:
            while kind not in self.late_watches and self._events[kind]:
                event, body = self._events[kind].popleft()
                self._store_object(kind, event, body)
                self._enqueue("reconcile")

    def _store_object(self, kind: str, event: str, body: Body) -> None:
        store, metadata, deleted = self.store, body["metadata"], event == "DELETED"
        if kind == "trainingjobs":
            if deleted:
                store.drop_trainingjob(KEY, metadata["uid"])
            else:
                store.put_trainingjob(TrainingJob.model_validate(body))
        elif kind == "jobs":
            store.drop_job(KEY, metadata["uid"]) if deleted else store.put_job(KEY, body)
        else:
            store.drop_pod(KEY, metadata["name"]) if deleted else store.put_pod(KEY, body)

    # ------------------------------------------------------------------------------------------------------- the work

    def _enqueue(self, part: str, seconds: float = 0.0) -> None:
        self._due[part] = min(self._due.get(part, float("inf")), self._seconds + seconds)

    @property
    def next_due(self) -> float | None:
        """Seconds until the next part runs; None if all wait for events."""
        return max(0.0, min(self._due.values()) - self._seconds) if self._due else None

    def process_due(self) -> None:
        """Run the parts that are due; restart when killed."""
        now = self._seconds
        try:
            for part, work in (("reconcile", self._reconciler.reconcile), ("outcome", self._outcomes.send)):
                if self._due.get(part, float("inf")) <= now:
                    del self._due[part]
                    self._run(part, work)
        except Killed:
            self.restart()

    def _run(self, part: str, work: Any) -> None:
        delay: float | None = BACKOFF_SECONDS
        with suppress(ClusterError):
            delay = self._loop.run_until_complete(work(KEY))
        if delay is not None:
            self._enqueue(part, delay)
