"""The operator's own parts over the simulated cluster: what its watches tell, when it works, and what a kill leaves of it."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any

from tests.unit.operator.builders import settings
from tests.unit.operator.simulator import NAMESPACE, START, ApiServer, Body, Killed, SimulatedCluster
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome import OutcomeCallbacks
from vott_operator.callbacks.sender import CallbackSender
from vott_operator.cluster.applier import PlanApplier
from vott_operator.cluster.observer import Observer
from vott_operator.cluster.store import Store
from vott_operator.errors import CallbackError, ClusterError
from vott_operator.reconciler import Reconciler

KEY = Key(NAMESPACE, "cats")
KINDS = ("trainingjobs", "jobs", "pods")
BACKOFF_SECONDS = 1.0


class Receiver(CallbackSender):
    """The callback's end: takes what it is told, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.heard: list[tuple[str, str]] = []
        """webhook-id and state of each delivery."""

    async def send(self, url: str, webhook_id: str, body: Any) -> None:
        if self.away:
            raise CallbackError(f"{url} did not answer", permanent=False)
        self.heard.append((webhook_id, body["state"]))


class Operator:
    """Reconciler and OutcomeCallbacks with a Store, as handlers.py and app.py wire them, and a clock that the test moves."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        api.watch = self._noticed
        self.receiver = Receiver()
        self.cluster = SimulatedCluster(api)
        self.late: set[str] = set()
        """Kinds whose watch tells nothing for now."""
        self._loop = asyncio.new_event_loop()
        self._loop.time = lambda: self._seconds  # type: ignore[method-assign]
        self._settings = settings()
        self.restart()

    def close(self) -> None:
        """End the event loop."""
        self._loop.close()

    def restart(self) -> None:
        """As a new process: nothing is known, and the watches list what there is."""
        self.store = Store(self._api.now)
        self.cluster.faults.clear()
        self._outcomes = OutcomeCallbacks(self.cluster, self.store, self.receiver, self._settings.callbacks, self._now)
        self._due: dict[str, float] = {}
        """When each of the two is to work next, in seconds."""
        observer = Observer(self.cluster, self.store, self._settings.pod_settings, self._now)
        applier = PlanApplier(self.cluster, self.store, self._now, self._ended)
        self._reconciler = Reconciler(observer, applier, self._settings, self._now)
        self._events: dict[str, deque[tuple[str, Body]]] = {
            kind: deque(("ADDED", item) for item in self._api.all(kind)) for kind in KINDS
        }

    def _now(self) -> datetime:
        return self._api.now

    def _ended(self, _: Key) -> None:
        self._wake("speak")

    @property
    def _seconds(self) -> float:
        return (self._api.now - START).total_seconds()

    # ---------------------------------------------------------------------------------------------------- the watches

    def _noticed(self, event: str, plural: str, body: Body) -> None:
        if plural in KINDS:
            self._events[plural].append((event, body))

    def hear(self) -> None:
        """All that the watches have to tell, but for the late ones."""
        for kind in KINDS:
            while kind not in self.late and self._events[kind]:
                event, body = self._events[kind].popleft()
                self._take(kind, event, body)
                self._wake("reconcile")

    def _take(self, kind: str, event: str, body: Body) -> None:
        store, metadata, gone = self.store, body["metadata"], event == "DELETED"
        if kind == "trainingjobs":
            if gone:
                store.drop_trainingjob(KEY, metadata["uid"])
            else:
                store.put_trainingjob(TrainingJob.model_validate(body))
        elif kind == "jobs":
            store.drop_job(KEY, metadata["uid"]) if gone else store.put_job(KEY, body)
        else:
            store.drop_pod(KEY, metadata["name"]) if gone else store.put_pod(KEY, body)

    # ------------------------------------------------------------------------------------------------------- its work

    def _wake(self, part: str, seconds: float = 0.0) -> None:
        self._due[part] = min(self._due.get(part, float("inf")), self._seconds + seconds)

    @property
    def next_due(self) -> float | None:
        """Seconds until it has something to do; None when only an event can bring it to."""
        return max(0.0, min(self._due.values()) - self._seconds) if self._due else None

    def work(self) -> None:
        """Do what is due. A kill on the way is a restart."""
        now = self._seconds
        try:
            for part, act in (("reconcile", self._reconciler.reconcile), ("speak", self._outcomes.send)):
                if self._due.get(part, float("inf")) <= now:
                    del self._due[part]
                    self._act(part, act)
        except Killed:
            self.restart()

    def _act(self, part: str, act: Any) -> None:
        wait: float | None = BACKOFF_SECONDS
        with suppress(ClusterError):
            wait = self._loop.run_until_complete(act(KEY))
        if wait is not None:
            self._wake(part, wait)
