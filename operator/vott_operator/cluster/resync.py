"""Lists of the whole cluster: the first one before messages are received, and the periodic resync."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from vott_guard.backoff import Backoff
from vott_messaging.errors import VottError
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store, owner_key

logger = logging.getLogger(__name__)

RESYNC_SECONDS = 300.0
LIST_BACKOFF = Backoff(first=5.0, longest=5.0)  # jitter only


class Resync:
    """Keeps the Store complete where a watch was late or broken. `enqueue` has a TrainingJob reconciled."""

    def __init__(
        self, cluster: Cluster, store: Store, namespaces: Sequence[str], enqueue: Callable[[Key], None]
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._namespaces = namespaces
        self._enqueue = enqueue

    async def list_trainingjobs(self, namespace: str) -> None:
        """Store all TrainingJobs of a namespace; retry until the list succeeds."""
        while True:
            try:
                async for trainingjob in self._cluster.list_trainingjobs(namespace):
                    self._store.put_trainingjob(trainingjob)
                return
            except VottError as error:
                delay = LIST_BACKOFF.seconds(1)
                logger.warning("TrainingJobs can't be listed: %s; trying again in %.1f s", error, delay)
                await asyncio.sleep(delay)

    async def run(self) -> None:
        """Every RESYNC_SECONDS drop what no longer exists and reconcile all TrainingJobs."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                await self._drop_missing()
            except VottError as error:
                logger.warning("resync: %s; trying again in %.0f s", error, RESYNC_SECONDS)
            self._store.is_complete = True
            for key in self._store.trainingjobs():
                self._enqueue(key)

    async def _drop_missing(self) -> None:
        """Drop objects that were deleted while a watch was broken: kopf reports no such deletion."""
        trainingjobs, jobs, pods = self._store.trainingjobs(), self._store.jobs(), self._store.pods()
        uids, owners = set(), set()
        for namespace in self._namespaces:
            uids |= {item.metadata.uid async for item in self._cluster.list_trainingjobs(namespace)}
            owners |= {owner_key(body) async for body in self._cluster.list_jobs(namespace)}
            pods -= {
                (owner_key(body), body["metadata"]["name"]) async for body in self._cluster.list_all_pods(namespace)
            }
        for key, trainingjob in trainingjobs.items():
            if trainingjob.metadata.uid not in uids:
                self._store.drop_trainingjob(key, trainingjob.metadata.uid)
        for key in jobs.keys() - owners:
            self._store.drop_job(key)
        for key, name in pods:
            self._store.drop_pod(key, name)
