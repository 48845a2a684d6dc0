"""The observed state of one TrainingJob: from the Store, read live where a decision must not depend on a late watch."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import pod_creation_error, pod_start_event
from vott_operator.cluster.store import Store
from vott_operator.decisions.live_reads import is_slow_without_cause, may_lack_secret, needs_live_read
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.pod_timing import is_missing_pod, missing_pod_since
from vott_operator.errors import NotFoundError
from vott_operator.objects.url_secret import pod_url_keys
from vott_operator.settings.pod import PodSettings


class Observer:
    """Observes TrainingJobs. Every method may raise ClusterError."""

    def __init__(
        self, cluster: Cluster, store: Store, pod_settings: PodSettings, clock: Callable[[], datetime]
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._pod_settings = pod_settings
        self._clock = clock

    async def observe(self, key: Key) -> Observed | None:
        """The state of a TrainingJob; None if there is none. Raises NotFoundError when a live read finds it deleted."""
        observed = self._store.observed(key)
        if observed is None:
            return None
        now = self._clock()
        if needs_live_read(observed, now):
            observed = await self._read_all(observed)
        if _is_job_to_be_deleted(observed):
            self._store.put_job(key, await self._cluster.read_job(key))
            observed = self._store.observed(key) or observed
        observed = await self._add_pod_creation_error(observed, now)
        return await self._add_missing_secret(await self._add_start_event(observed, now), now)

    async def reread(self, key: Key) -> None:
        """Store the TrainingJob as it is now. Raises NotFoundError."""
        self._store.put_trainingjob(await self._cluster.read_trainingjob(key))

    async def reread_after_not_found(self, key: Key) -> bool:
        """Drop the Job, and the TrainingJob if it was deleted. Returns whether the TrainingJob still exists."""
        self._store.drop_job(key)
        try:
            await self.reread(key)
        except NotFoundError:
            self._store.drop_trainingjob(key)
            return False
        return True

    async def _read_all(self, observed: Observed) -> Observed:
        key = observed.trainingjob.key
        await self.reread(key)
        if observed.job is None:
            with suppress(NotFoundError):
                self._store.put_job(key, await self._cluster.read_job(key))
        self._store.put_pods(key, await self._cluster.list_pods(key))
        return self._store.observed(key) or observed

    async def _add_pod_creation_error(self, observed: Observed, now: datetime) -> Observed:
        job, since = observed.job, missing_pod_since(observed, now)
        if job is None or since is None or not is_missing_pod(observed, now):
            return observed
        namespace = observed.trainingjob.metadata.namespace
        return replace(observed, pod_creation_error=await pod_creation_error(self._cluster, namespace, job.uid, since))

    async def _add_start_event(self, observed: Observed, now: datetime) -> Observed:
        pod = observed.starting_pod
        if pod is None or not pod.node or not is_slow_without_cause(observed, now):
            return observed
        namespace = observed.trainingjob.metadata.namespace
        return replace(observed, start_event=await pod_start_event(self._cluster, namespace, pod.uid))

    async def _add_missing_secret(self, observed: Observed, now: datetime) -> Observed:
        trainingjob = observed.trainingjob
        reference = trainingjob.spec.url_secret_ref
        if reference is None or not may_lack_secret(observed, now):
            return observed
        try:
            secret = await self._cluster.read_secret(trainingjob.metadata.namespace, reference.name)
        except NotFoundError:
            return replace(observed, missing_secret=reference.name)
        missing = tuple(key for key in pod_url_keys(trainingjob, self._pod_settings) if key not in secret)
        return replace(observed, missing_keys=missing)


def _is_job_to_be_deleted(observed: Observed) -> bool:
    job = observed.job
    return job is not None and observed.trainingjob.finished and observed.owns_job and not job.finished
