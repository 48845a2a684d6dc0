"""Leader election by a Lease: the leader renews it, and the other operators stand by.

The algorithm is client-go's (k8s.io/client-go/tools/leaderelection): each operator compares times of its own clock only,
counted from when it saw the Lease change. `kubernetes.aio.leaderelection` never releases a Lease, ends at network errors and
sets no timeout (docs/adr/0005).
"""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from vott_guard.backoff import Backoff
from vott_guard.log_repeats import Repeats
from vott_operator import metrics
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.errors import AlreadyExistsError, ClusterError, NotFoundError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Lease = dict[str, Any]


class Leadership:
    """This operator's part in the election."""

    def __init__(self, cluster: Cluster, lease: Key, duration_seconds: float) -> None:
        """Others take over when the Lease was not renewed for `duration_seconds`."""
        self.identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._cluster = cluster
        self._key = lease
        self._duration = duration_seconds
        self._retry = duration_seconds / 5
        # The leader gives up well before another may take over, so that two never lead on purpose.
        self._deadline = duration_seconds * 2 / 3
        # Half of that, as in client-go: one request that hangs must not cost the Lease.
        self._request = self._deadline / 2
        self._version = ""
        """Resource version of the Lease as last read."""
        self._version_since = 0.0
        """When this operator first read that version, in the event loop's time."""
        self._holder = ""
        """Identity in the Lease as last read or written."""
        self._renewed = 0.0
        """When this operator last wrote it: the start of the request, in the event loop's time."""
        self._written: Lease | None = None
        """The Lease as this operator last wrote it; None if it must be read first."""
        self._repeats = Repeats()

    async def acquire(self) -> None:
        """Wait until this operator leads."""
        backoff = Backoff(first=self._retry, longest=self._retry)  # jitter only: candidates must not try in step
        while True:
            if await self._try():
                break
            await asyncio.sleep(backoff.seconds(1))
        logger.info("this operator leads (Lease %s, as %s)", self._key, self.identity)

    async def hold(self) -> None:
        """Renew the Lease; return when the leadership is lost."""
        self._renewed = self._now()
        while (left := self._renewed + self._deadline - self._now()) > 0:
            started = self._now()
            try:
                async with asyncio.timeout(left):
                    if not await self._try() and self._holder not in ("", self.identity):
                        return
            except TimeoutError:
                break
            await asyncio.sleep(started + self._retry - self._now())

    async def release(self) -> None:
        """Let another operator lead at once, if this one leads."""
        try:
            lease = await self._cluster.read_lease(self._key)
            if lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._cluster.replace_lease(lease)
        except ClusterError as error:
            logger.info("Lease %s not released: %s", self._key, error)

    async def _try(self) -> bool:
        """Try once to acquire or renew the Lease."""
        try:
            if self._written is not None and await self._renew(self._written):
                self._repeats.end(self._key)
                return True
            lease = await self._answer(self._cluster.read_lease(self._key))
            if not self._is_available(lease):
                return False
            await self._write(lease)
        except NotFoundError:
            return await self._create()
        except TimeoutError:
            logger.warning("Lease %s: the Kubernetes API did not answer within %.1f s", self._key, self._request)
            return False
        except ClusterError as error:
            return self._failed(error)
        self._repeats.end(self._key)
        return True

    async def _renew(self, lease: Lease) -> bool:
        """Write the Lease without reading it first; return False if another has written it."""
        try:
            await self._write(lease)
        except ClusterError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    async def _write(self, lease: Lease) -> None:
        self._written, started = None, self._now()
        self._written = await self._answer(self._cluster.replace_lease(self._held(lease)))
        self._holder, self._renewed = self.identity, started
        metrics.LEASE_TRANSITIONS.set(self._written["spec"].get("leaseTransitions") or 0)

    async def _answer(self, request: Awaitable[T]) -> T:
        async with asyncio.timeout(self._request):
            return await request

    async def _create(self) -> bool:
        metadata = {"name": self._key.name, "namespace": self._key.namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}
        try:
            await self._cluster.create_lease(self._held(lease))
        except AlreadyExistsError:
            return False
        except ClusterError as error:
            return self._failed(error)
        return True

    def _failed(self, error: ClusterError) -> bool:
        if self._repeats.is_news(self._key, str(error)):
            logger.warning("Lease %s: %s", self._key, error)
        return False

    def _is_available(self, lease: Lease) -> bool:
        """Whether no one holds the Lease, or this operator does, or its holder failed to renew it in time."""
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        metrics.LEASE_TRANSITIONS.set(spec.get("leaseTransitions") or 0)
        version = lease["metadata"]["resourceVersion"]
        if version != self._version:
            self._version, self._version_since = version, self._now()
        if holder not in ("", self.identity, self._holder):
            logger.info("%s leads; this operator stands by", holder)
        self._holder = holder
        duration = float(spec.get("leaseDurationSeconds") or self._duration)
        return holder in ("", self.identity) or self._now() - self._version_since >= duration

    def _held(self, lease: Lease) -> Lease:
        """The Lease as held by this operator, renewed now."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = dict(lease.get("spec") or {})
        if spec.get("holderIdentity") != self.identity:
            spec |= {
                "holderIdentity": self.identity,
                "acquireTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + ("holderIdentity" in spec),
            }
        spec |= {"leaseDurationSeconds": int(self._duration), "renewTime": now}
        return lease | {"spec": spec}

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
