"""One active operator among several: a Lease that the active one renews and the others wait for.

The algorithm is client-go's (k8s.io/client-go/tools/leaderelection): times are compared on one's own clock only, from when
the record was last seen to change. `kubernetes.aio.leaderelection` has no release, lets network errors through and waits
without limit for an answer (docs/adr/0005).
"""

import asyncio
import logging
import os
import socket
import uuid
from datetime import UTC, datetime
from typing import Any

from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.errors import AlreadyExistsError, ClusterError, NotFoundError

logger = logging.getLogger(__name__)

Lease = dict[str, Any]


class Leadership:
    """Our part in the election for one Lease."""

    def __init__(self, cluster: Cluster, lease: Key, duration_seconds: float) -> None:
        """`duration_seconds` without a renewal end a leadership; so long do the others wait."""
        self.identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._cluster = cluster
        self._key = lease
        self._duration = duration_seconds
        self._retry = duration_seconds / 5
        # Given up well before another may take over, so that two never act on purpose.
        self._deadline = duration_seconds * 2 / 3
        self._seen: tuple[str, float] = ("", 0.0)
        """Resource version of the Lease as last seen, and when (loop time) that was first."""
        self._told_of = ""

    async def acquire(self) -> None:
        """Wait until this operator leads."""
        while True:
            if await self._try():
                break
            await asyncio.sleep(self._retry)
        logger.info("this operator leads (Lease %s, as %s)", self._key, self.identity)

    async def hold(self) -> None:
        """Renew the Lease for as long as that succeeds; returns when the leadership is lost."""
        renewed = self._now()
        while (left := renewed + self._deadline - self._now()) > 0:
            began = self._now()
            try:
                async with asyncio.timeout(left):
                    if await self._try():
                        renewed = began
                    elif self._told_of not in ("", self.identity):
                        return
            except TimeoutError:
                break
            await asyncio.sleep(self._retry)

    async def release(self) -> None:
        """Let another lead at once, if this operator leads."""
        try:
            lease = await self._cluster.read_lease(self._key)
            if lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._cluster.replace_lease(lease)
        except ClusterError as error:
            logger.info("Lease %s not released: %s", self._key, error)

    async def _try(self) -> bool:
        """One attempt to take or renew the Lease."""
        try:
            lease = await self._cluster.read_lease(self._key)
            if not self._is_free(lease):
                return False
            await self._cluster.replace_lease(self._mine(lease))
        except NotFoundError:
            return await self._create()
        except ClusterError as error:
            logger.warning("Lease %s: %s", self._key, error)
            return False
        return True

    async def _create(self) -> bool:
        metadata = {"name": self._key.name, "namespace": self._key.namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}
        try:
            await self._cluster.create_lease(self._mine(lease))
        except AlreadyExistsError:
            return False
        except ClusterError as error:
            logger.warning("Lease %s: %s", self._key, error)
            return False
        return True

    def _is_free(self, lease: Lease) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._now())
        if holder not in ("", self.identity) and holder != self._told_of:
            logger.info("%s leads; this operator stands by", holder)
        self._told_of = holder
        lasting = float(spec.get("leaseDurationSeconds") or self._duration)
        return holder in ("", self.identity) or self._now() - self._seen[1] >= lasting

    def _mine(self, lease: Lease) -> Lease:
        spec, now = (
            dict(lease.get("spec") or {}),
            datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        )
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
