"""The finalizer on the operator's RoleBinding in a training namespace (ADR 26).

A deleted RoleBinding stays effective until its last finalizer is removed. So the operator can still end trainings, tell their
callbacks and remove their finalizers when somebody deletes the namespace, or the RoleBinding alone.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.rest import Body
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError

logger = logging.getLogger(__name__)

VERIFY_SECONDS = 300.0
"""How often the RoleBinding is read: another program may replace it, and drop the finalizer."""
RETRY_SECONDS = 30.0
"""The same while it can't be held: not with each change of a TrainingJob."""
ABSENT = (403, 404)
"""There is no RoleBinding, or the operator may not read it: its permissions come from elsewhere, or are gone."""


class RoleBindingFinalizers:
    """Sets the finalizer while TrainingJobs of the namespace have theirs. `reconcile` runs on a WorkQueue of namespaces."""

    def __init__(self, cluster: Cluster, store: Store, name: str, own_namespace: str) -> None:
        """`name` is that of the RoleBinding; empty: there is none to hold.

        The operator's own namespace needs none: its deletion deletes the operator's ServiceAccount, too.
        """
        self._cluster = cluster
        self._store = store
        self._name = name
        self._own_namespace = own_namespace
        self._users = Counter[str]()
        self._listed: set[str] = set()
        self._locks = defaultdict[str, asyncio.Lock](asyncio.Lock)
        self._known: dict[str, tuple[bool, float]] = {}
        """Whether the finalizer is set, as far as possible, and when to read the RoleBinding again (the event loop's time)."""
        self._warned: set[str] = set()

    def listed(self, namespace: str) -> None:
        """Record that the Store has all TrainingJobs of the namespace: from now on, the finalizer may be removed."""
        self._listed.add(namespace)

    @asynccontextmanager
    async def hold(self, namespace: str) -> AsyncIterator[None]:
        """Set the finalizer before a TrainingJob gets its own within the block. Raises ClusterError."""
        self._users[namespace] += 1
        try:
            await self.reconcile(namespace)
            yield
        finally:
            self._users[namespace] -= 1

    async def reconcile(self, namespace: str) -> float | None:
        """Set or remove the finalizer. Returns the seconds until the next check. Raises ClusterError."""
        if not self._name or namespace == self._own_namespace:
            return None
        async with self._locks[namespace]:
            needed = self._users[namespace] > 0 or self._store.has_finalizers(namespace)
            if needed or namespace in self._listed:
                await self._apply(namespace, needed)
        return VERIFY_SECONDS

    async def _apply(self, namespace: str, needed: bool) -> None:
        now = asyncio.get_running_loop().time()
        is_set, due = self._known.get(namespace, (not needed, 0.0))
        if is_set == needed and now < due:
            return
        self._known.pop(namespace, None)
        try:
            problem = await self._write(Key(namespace, self._name), needed)
        except ClusterError as error:
            if error.status not in ABSENT:
                raise
            problem = str(error)
        self._known[namespace] = (needed, now + (RETRY_SECONDS if problem else VERIFY_SECONDS))
        if not problem:
            self._warned.discard(namespace)
        elif needed:
            self._warn(namespace, problem)

    async def _write(self, key: Key, needed: bool) -> str:
        """Write the RoleBinding if that is needed. Returns why it can't get the finalizer any more; empty if all is as needed."""
        metadata: Body = (await self._cluster.read_role_binding(key))["metadata"]
        finalizers = list(metadata.get("finalizers") or ())
        deleted = "deletionTimestamp" in metadata
        if (c.BINDING_FINALIZER in finalizers) == needed:
            return ""
        if not needed:
            finalizers.remove(c.BINDING_FINALIZER)
            await self._cluster.set_role_binding_finalizers(key, metadata["resourceVersion"], finalizers)
            if deleted:
                logger.info("%s: RoleBinding released: it was deleted, and no TrainingJob needs it any more", key)
            return ""
        if deleted:
            return "it is being deleted"
        await self._cluster.set_role_binding_finalizers(
            key, metadata["resourceVersion"], [*finalizers, c.BINDING_FINALIZER]
        )
        return ""

    def _warn(self, namespace: str, why: str) -> None:
        if namespace in self._warned:
            return
        self._warned.add(namespace)
        logger.warning(
            "RoleBinding %s can't be held: %s; if its namespace is deleted, TrainingJobs with a callback may remain",
            Key(namespace, self._name),
            why,
        )
