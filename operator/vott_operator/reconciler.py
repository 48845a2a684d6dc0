"""Observe, plan, apply: one pass over one TrainingJob. Every trigger ends here."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from . import constants as c
from .cluster import Body, Cluster
from .errors import AlreadyExistsError, ClusterError, InvalidObjectError, NotFoundError
from .failures import Explanation
from .models import TrainingJob
from .names import Key
from .observed import Observed
from .plan import EventNote, Plan, plan
from .settings import Settings
from .status import failed, lacks_evidence, may_lack_secret, status_patch
from .store import Store

logger = logging.getLogger(__name__)

GONE_RETRY_SECONDS = 2.0


class Reconciler:
    """Brings the cluster to what the TrainingJobs ask for. `reconcile` is the work of a WorkQueue.

    `ended` is called with each TrainingJob that has ended and whose callback may not know it yet.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        settings: Settings,
        clock: Callable[[], datetime],
        ended: Callable[[Key], None],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ended = ended

    async def reconcile(self, key: Key) -> float | None:
        """One pass. Returns the seconds after which to come back, if any. Raises ClusterError when the API fails."""
        observed = self._store.observed(key)
        if observed is None:
            return None
        try:
            observed = await self._look_closer(observed)
            return await self._apply(observed.trainingjob, plan(observed, self._settings, self._clock()))
        except NotFoundError:
            return await self._refresh(key)

    async def _look_closer(self, observed: Observed) -> Observed:
        """Ask the cluster itself where what the watches told would not be enough."""
        key = observed.trainingjob.key
        if lacks_evidence(observed, self._clock()):
            self._store.put_trainingjob(await self._cluster.read_trainingjob(key))
            for pod in await self._cluster.list_pods(key):
                self._store.put_pod(key, pod)
            observed = self._store.observed(key) or observed
        reference = observed.trainingjob.spec.url_secret_ref
        if reference is not None and may_lack_secret(observed, self._clock()):
            try:
                await self._cluster.read_secret(key.namespace, reference.name)
            except NotFoundError:
                return replace(observed, missing_secret=reference.name)
        return observed

    async def _refresh(self, key: Key) -> float | None:
        """Something was gone. Is it the TrainingJob, or its Job?"""
        self._store.drop_job(key)
        try:
            self._store.put_trainingjob(await self._cluster.read_trainingjob(key))
        except NotFoundError:
            self._store.drop_trainingjob(key)
            return None
        return GONE_RETRY_SECONDS

    async def _apply(self, trainingjob: TrainingJob, steps: Plan) -> float | None:
        if steps.create_job is not None:
            return await self._create_job(trainingjob, steps.create_job)
        if steps.suspend_job is not None:
            key = trainingjob.key
            self._store.put_job(key, await self._cluster.suspend_job(key, steps.suspend_job))
        await self._tell(trainingjob, steps.events)
        if steps.status is not None:
            trainingjob = await self._write_status(trainingjob, steps.status)
        if steps.delete:
            logger.info("%s: deleted, as its ttlSecondsAfterFinished says", trainingjob.key)
            await self._cluster.delete_trainingjob(trainingjob)
        elif trainingjob.finished:
            self._ended(trainingjob.key)
        return steps.requeue_seconds

    async def _create_job(self, trainingjob: TrainingJob, manifest: Body) -> float | None:
        key = trainingjob.key
        try:
            self._store.put_job(key, await self._cluster.create_job(manifest))
            logger.info("%s: Job created", key)
        except AlreadyExistsError:
            # Ours, which the watch has yet to tell of; or somebody else's, of which it never will.
            self._store.put_job(key, await self._cluster.read_job(key))
        except InvalidObjectError as error:
            await self._fail(
                trainingjob, Explanation(c.INVALID_SPEC, f"The Job was refused by the API server: {error.answer}")
            )
            return None
        return 0.0

    async def _fail(self, trainingjob: TrainingJob, why: Explanation) -> None:
        status = status_patch(Observed(trainingjob), failed(why), self._clock())
        if status is not None:
            await self._tell(trainingjob, (EventNote("Warning", why.reason, why.message),))
            self._ended((await self._write_status(trainingjob, status)).key)

    async def _tell(self, trainingjob: TrainingJob, notes: tuple[EventNote, ...]) -> None:
        # Before the status, so that a kill in between repeats an Event (which its name makes harmless) rather than losing it.
        for note in notes:
            try:
                await self._cluster.create_event(trainingjob, note, self._clock())
            except ClusterError as error:
                logger.warning("%s: Event %s not recorded: %s", trainingjob.key, note.reason, error)

    async def _write_status(self, trainingjob: TrainingJob, status: Body) -> TrainingJob:
        updated = await self._cluster.patch_status(trainingjob, status)
        self._store.put_trainingjob(updated)
        logger.info("%s: %s %s", updated.key, updated.status.phase, updated.status.reason or "")
        return updated
