"""Observe, plan, apply: one pass over one TrainingJob. Every trigger ends here."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Body, Cluster, try_to_record
from vott_operator.cluster.store import Store
from vott_operator.decisions.events import Event, transition_events
from vott_operator.decisions.explanations import explain_name_taken, explain_refused_job
from vott_operator.decisions.live_reads import may_lack_secret, needs_live_read
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult, failed, pending
from vott_operator.decisions.plan import Plan, plan
from vott_operator.decisions.pod_timing import is_missing_pod, missing_pod_since
from vott_operator.decisions.status_patch import status_patch
from vott_operator.errors import AlreadyExistsError, ClusterError, ConflictError, InvalidObjectError, NotFoundError
from vott_operator.objects.pod import url_keys
from vott_operator.settings.operator import Settings

logger = logging.getLogger(__name__)

GONE_RETRY_SECONDS = 2.0
REFUSED_RETRY_SECONDS = 30.0
FORBIDDEN = 403


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
            return await self._apply(observed, plan(observed, self._settings, self._clock()))
        except NotFoundError:
            return await self._refresh(key)
        except ConflictError:
            self._store.put_trainingjob(await self._cluster.read_trainingjob(key))
            return 0.0

    # --------------------------------------------------------------------------------------------------------- observe

    async def _look_closer(self, observed: Observed) -> Observed:
        """Ask the cluster itself where what the watches told would not be enough."""
        key, now = observed.trainingjob.key, self._clock()
        if needs_live_read(observed, now):
            observed = await self._read_all(observed)
        job = observed.job
        if job is not None and observed.trainingjob.finished and observed.owns_job and not job.finished:
            self._store.put_job(key, await self._cluster.read_job(key))  # it is about to be deleted
            observed = self._store.observed(key) or observed
        since = missing_pod_since(observed, now)
        if job is not None and since is not None and is_missing_pod(observed, now):
            refusal = await self._cluster.refusal_of_pods(key.namespace, job.uid, since)
            observed = replace(observed, refusal=refusal)
        reference = observed.trainingjob.spec.url_secret_ref
        if reference is not None and may_lack_secret(observed, now):
            return await self._look_at_secret(observed, reference.name)
        return observed

    async def _look_at_secret(self, observed: Observed, name: str) -> Observed:
        try:
            there = await self._cluster.read_secret(observed.trainingjob.key.namespace, name)
        except NotFoundError:
            return replace(observed, missing_secret=name)
        needed = url_keys(observed.trainingjob, self._settings.pod_settings)
        return replace(observed, missing_keys=tuple(key for key in needed if key not in there))

    async def _read_all(self, observed: Observed) -> Observed:
        """Everything anew, so that nothing is decided from a watch that is behind."""
        key = observed.trainingjob.key
        self._store.put_trainingjob(await self._cluster.read_trainingjob(key))
        if observed.job is None:
            with suppress(NotFoundError):
                self._store.put_job(key, await self._cluster.read_job(key))
        self._store.put_pods(key, await self._cluster.list_pods(key))
        return self._store.observed(key) or observed

    async def _refresh(self, key: Key) -> float | None:
        """Something was gone. Is it the TrainingJob, or its Job?"""
        self._store.drop_job(key)
        try:
            self._store.put_trainingjob(await self._cluster.read_trainingjob(key))
        except NotFoundError:
            self._store.drop_trainingjob(key)
            return None
        return GONE_RETRY_SECONDS

    # ----------------------------------------------------------------------------------------------------------- apply

    async def _apply(self, observed: Observed, steps: Plan) -> float | None:
        trainingjob = observed.trainingjob
        if steps.add_finalizer:
            return await self._add_finalizer(trainingjob, steps)
        if steps.create_job is not None:
            return await self._create(trainingjob, steps.create_service, steps.create_job)
        if steps.suspend_job is not None:
            key = trainingjob.key
            self._store.put_job(key, await self._cluster.suspend_job(key, steps.suspend_job))
        await self._tell(trainingjob, steps.events)
        if steps.status is not None:
            trainingjob = await self._write_status(trainingjob, steps.status)
        if steps.delete_job and observed.job is not None:
            logger.info("%s: Job deleted", trainingjob.key)
            await self._cluster.delete_job(trainingjob.key, observed.job.uid)
        if steps.remove_finalizer:
            return await self._remove_finalizer(trainingjob, steps)
        if steps.delete:
            logger.info("%s: deleted, as its ttlSecondsAfterFinished says", trainingjob.key)
            await self._cluster.delete_trainingjob(trainingjob)
        elif trainingjob.finished:
            self._ended(trainingjob.key)
        return steps.requeue_seconds

    async def _add_finalizer(self, trainingjob: TrainingJob, steps: Plan) -> float | None:
        finalizers = (*trainingjob.metadata.finalizers, c.FINALIZER)
        self._store.put_trainingjob(await self._cluster.set_finalizers(trainingjob, finalizers))
        return steps.requeue_seconds

    async def _remove_finalizer(self, trainingjob: TrainingJob, steps: Plan) -> float | None:
        rest = [item for item in trainingjob.metadata.finalizers if item != c.FINALIZER]
        updated = await self._cluster.set_finalizers(trainingjob, rest)
        if updated.deleting and not rest:
            logger.info("%s: gone, and its callback was told", trainingjob.key)
            self._store.drop_trainingjob(trainingjob.key, trainingjob.metadata.uid)
            return None
        self._store.put_trainingjob(updated)
        return steps.requeue_seconds

    async def _create(self, trainingjob: TrainingJob, service: Body | None, job: Body) -> float | None:
        try:
            if service is not None and not await self._create_service(trainingjob, service):
                return None
            return await self._create_job(trainingjob, job)
        except InvalidObjectError as error:
            text = f"The Job was refused by the API server: {error.answer}"
            await self._fail(trainingjob, Explanation(c.INVALID_SPEC, text))
            return None
        except ClusterError as error:
            if error.status != FORBIDDEN:
                raise
            await self._say(trainingjob, pending(explain_refused_job(error.answer)))
            return REFUSED_RETRY_SECONDS

    async def _create_service(self, trainingjob: TrainingJob, manifest: Body) -> bool:
        try:
            await self._cluster.create_service(manifest)
        except AlreadyExistsError:
            name = manifest["metadata"]["name"]
            await self._fail(trainingjob, explain_name_taken(c.SERVICE_NAME_TAKEN, "Service", name))
            return False
        return True

    async def _create_job(self, trainingjob: TrainingJob, manifest: Body) -> float:
        key = trainingjob.key
        try:
            strict = trainingjob.spec.pod_template is not None
            self._store.put_job(key, await self._cluster.create_job(manifest, strict=strict))
            logger.info("%s: Job created", key)
        except AlreadyExistsError:
            # Ours, which the watch has yet to tell of; or somebody else's, of which it never will.
            self._store.put_job(key, await self._cluster.read_job(key))
        return 0.0

    async def _fail(self, trainingjob: TrainingJob, why: Explanation) -> None:
        self._ended((await self._say(trainingjob, failed(why))).key)

    async def _say(self, trainingjob: TrainingJob, result: PhaseResult) -> TrainingJob:
        observed = Observed(trainingjob)
        await self._tell(trainingjob, transition_events(observed, result))
        status = status_patch(observed, result, self._clock())
        return trainingjob if status is None else await self._write_status(trainingjob, status)

    async def _tell(self, trainingjob: TrainingJob, notes: tuple[Event, ...]) -> None:
        # Before the status, so that a kill in between repeats an Event (which its name makes harmless) rather than losing it.
        for note in notes:
            await try_to_record(self._cluster, trainingjob, note, self._clock())

    async def _write_status(self, trainingjob: TrainingJob, status: Body) -> TrainingJob:
        updated = await self._cluster.patch_status(trainingjob, status)
        self._store.put_trainingjob(updated)
        logger.info("%s: %s %s", updated.key, updated.status.phase, updated.status.reason or "")
        return updated
