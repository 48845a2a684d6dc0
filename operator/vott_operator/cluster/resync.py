"""Lists of each namespace: one before messages are received, and then every minute. They have metadata only; the objects come from the watches.

Each namespace has its own task, so that trouble in one of them does not concern the others.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from vott_guard.backoff import Backoff
from vott_messaging.errors import VottError
from vott_operator import metrics
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.namespaces import Condition, Namespaces
from vott_operator.cluster.store import Kind, Listed, Store
from vott_operator.cluster.watch_lag import WatchLag
from vott_operator.errors import ClusterError, NotFoundError

logger = logging.getLogger(__name__)

CHECK_SECONDS = 60.0
"""Between two checks of a usable namespace."""
SOONEST_SECONDS = 2.0
"""The same at least, however many requests are refused."""
TROUBLE_SECONDS = 10.0
"""Between two checks of any other."""
RESYNC_SECONDS = 300.0
"""Between two times that all TrainingJobs are reconciled."""
SHOWN_POLL_SECONDS, SHOWN_SECONDS = 0.1, 10.0
"""How often, and for how long, to look whether the watches have shown what a list has."""
LIST_BACKOFF = Backoff(first=5.0, longest=5.0)  # jitter only
FORBIDDEN = (
    "the operator has no permission there ({}). The namespace was deleted, or the operator's RoleBinding in it."
    " Create it again and run helm upgrade, or remove its queue from the values"
)
NOT_FOUND = "it does not exist. Create it and run helm upgrade, or remove its queue from the values"
TERMINATING = "it is being deleted"
LISTED = (Condition.USABLE, Condition.TERMINATING)
NOT_SERVED = "the API server does not serve TrainingJobs; install the CustomResourceDefinition (vott-train crd | kubectl apply -f -)"


class Resync:
    """Keeps the Store complete where a watch was late or broken, and checks the namespaces. `resume` has a TrainingJob reconciled."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        namespaces: Namespaces,
        lag: WatchLag,
        resume: Callable[[Key], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._namespaces = namespaces
        self._lag = lag
        self._resume = resume
        self._clock = clock
        self._failed: set[str] = set()
        """Namespaces whose last check failed."""

    async def wait_until_shown(self, namespace: str) -> None:
        """Wait until the watches have shown all TrainingJobs of a namespace."""
        while True:
            try:
                metadata = self._cluster.list_metadata(Kind.TRAININGJOB, namespace)
                listed = [Listed.of(Kind.TRAININGJOB, item) async for item in metadata]
            except VottError:  # `check` logs it
                await asyncio.sleep(LIST_BACKOFF.seconds(1))
            else:
                if await self._are_shown(listed):
                    return

    async def _are_shown(self, listed: list[Listed]) -> bool:
        """Wait for the watches. Returns False if they do not show everything: something may have been deleted."""
        for _ in range(round(SHOWN_SECONDS / SHOWN_POLL_SECONDS)):
            listed = [item for item in listed if self._store.is_behind(item)]
            if not listed:
                return True
            await asyncio.sleep(SHOWN_POLL_SECONDS)
        return False

    async def run(self, namespace: str) -> None:
        """Check a namespace again and again. Every RESYNC_SECONDS, and when it can be listed again, reconcile its TrainingJobs."""
        reconciled = self._clock()
        while True:
            changed = await self.check(namespace)
            condition = self._namespaces.state(namespace).condition
            is_due = self._clock() - reconciled >= timedelta(seconds=RESYNC_SECONDS)
            self._store.is_complete = self._store.is_complete or is_due
            if is_due or (changed and condition in LISTED):
                reconciled = self._clock()
                for key in self._store.keys(namespace):
                    self._resume(key)
            is_well = condition == Condition.USABLE and namespace not in self._failed
            await asyncio.sleep(SOONEST_SECONDS if is_well else TROUBLE_SECONDS)
            if is_well:
                await self._namespaces.wait_for_check(namespace, CHECK_SECONDS - SOONEST_SECONDS)

    async def check(self, namespace: str) -> bool:
        """Find and record the condition of a namespace; drop what no longer exists. Returns whether the condition changed."""
        condition, message = await self._condition(namespace)
        if condition == Condition.UNAVAILABLE and namespace not in self._failed:
            self._failed.add(namespace)  # one failed request is no condition
            return False
        if condition != Condition.UNAVAILABLE:
            self._failed.discard(namespace)
        if condition != Condition.USABLE:
            self._lag.forget(namespace)
        metrics.NAMESPACE_UP.labels(namespace).set(condition in LISTED)
        return self._namespaces.record(namespace, condition, message)

    async def _condition(self, namespace: str) -> tuple[Condition, str]:
        try:
            is_terminating = await self._is_terminating(namespace)
            await self._compare(namespace)
        except NotFoundError as error:
            if "namespaces" in error.answer:
                return Condition.NOT_FOUND, NOT_FOUND
            return Condition.UNAVAILABLE, NOT_SERVED
        except ClusterError as error:
            if error.status == 403:
                return Condition.FORBIDDEN, FORBIDDEN.format(error.answer)
            return Condition.UNAVAILABLE, str(error)
        return (Condition.TERMINATING, TERMINATING) if is_terminating else (Condition.USABLE, "")

    async def _is_terminating(self, namespace: str) -> bool:
        try:
            return await self._cluster.namespace_phase(namespace) == "Terminating"
        except ClusterError as error:
            if error.status == 403:  # a Role of an earlier chart; what counts is whether the objects can be listed
                return False
            raise

    async def _compare(self, namespace: str) -> None:
        """Compare the Store with the cluster, and drop what was deleted while a watch was broken: kopf reports no such deletion."""
        behind: list[Listed] = []
        for kind in Kind:
            missing = self._store.stored(kind, namespace)
            async for metadata in self._cluster.list_metadata(kind, namespace):
                listed = Listed.of(kind, metadata)
                missing.discard((listed.key, listed.identity))
                if self._store.is_behind(listed):
                    behind.append(listed)
            for key, identity in missing:
                self._store.drop(kind, key, identity)
                self._resume(key)
        self._lag.note(namespace, behind)
        metrics.LAST_SYNC.labels(namespace).set(self._clock().timestamp() - self._lag.seconds(namespace))
