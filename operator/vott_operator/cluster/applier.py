"""Applies the plan of one pass: creates, patches and deletes objects, and stores the API server's answers."""

import logging
from collections.abc import Callable
from datetime import datetime

from vott_guard.log_format import fields
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import record_event
from vott_operator.cluster.rest import Body
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.status_metrics import count_change
from vott_operator.cluster.store import Store
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import Plan
from vott_operator.decisions.refused_creation import plan_after_refusal
from vott_operator.decisions.spans import ended_span
from vott_operator.errors import AlreadyExistsError, ClusterError
from vott_operator.tracing import NO_TRACING, Tracing

logger = logging.getLogger(__name__)


class PlanApplier:
    """Applies plans. `on_finished` is called with each TrainingJob that has ended: its outcome may be due."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        bindings: RoleBindingFinalizers,
        clock: Callable[[], datetime],
        on_finished: Callable[[Key], None],
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._bindings = bindings
        self._clock = clock
        self._on_finished = on_finished
        self._tracing = tracing

    async def apply(self, observed: Observed, plan: Plan) -> float | None:
        """Apply one plan. Returns the seconds until the next pass, if any. Raises ClusterError when the API fails."""
        trainingjob = observed.trainingjob
        if plan.add_finalizer:
            finalizers = (*trainingjob.metadata.finalizers, c.FINALIZER)
            async with self._bindings.hold(trainingjob.metadata.namespace):
                self._store.put_trainingjob(await self._cluster.patch_metadata(trainingjob, finalizers=finalizers))
            return plan.requeue_seconds
        if plan.create_job is not None:
            return await self._create(trainingjob, plan.create_service, plan.create_job)
        if plan.suspend_job is not None:
            key = trainingjob.key
            self._store.put_job(key, await self._cluster.suspend_job(key, plan.suspend_job))
        # Events before the status: a kill in between repeats an Event, which its name makes harmless, rather than losing it.
        for event in plan.events:
            await record_event(self._cluster, trainingjob, event, self._clock())
        if plan.status is not None:
            trainingjob = await self._patch_status(trainingjob, plan.status)
        if plan.delete_job and observed.job is not None:
            logger.info("Job deleted")
            await self._cluster.delete_job(trainingjob.key, observed.job.uid)
        if plan.remove_finalizer or plan.record_end:
            return await self._patch_metadata(trainingjob, plan)
        if plan.delete:
            logger.info("deleted by ttlSecondsAfterFinished")
            await self._cluster.delete_trainingjob(trainingjob)
        elif trainingjob.finished:
            self._on_finished(trainingjob.key)
        return plan.requeue_seconds

    async def _patch_metadata(self, trainingjob: TrainingJob, plan: Plan) -> float | None:
        annotations = {c.ANNOTATION_ENDED: plan.record_end.to_annotation()} if plan.record_end else None
        if not plan.remove_finalizer:
            self._store.put_trainingjob(await self._cluster.patch_metadata(trainingjob, annotations=annotations))
            return plan.requeue_seconds
        finalizers = [item for item in trainingjob.metadata.finalizers if item != c.FINALIZER]
        updated = await self._cluster.patch_metadata(trainingjob, finalizers=finalizers, annotations=annotations)
        if updated.deleting and not finalizers:
            logger.info("deleted, its callback has ended")
            self._store.drop_trainingjob(trainingjob.key, trainingjob.metadata.uid)
            return None
        self._store.put_trainingjob(updated)
        return plan.requeue_seconds

    async def _create(self, trainingjob: TrainingJob, service: Body | None, job: Body) -> float | None:
        try:
            if service is not None:
                await self._cluster.create_service(service)
            await self._create_job(trainingjob, job)
        except ClusterError as error:
            plan = plan_after_refusal(trainingjob, error, self._clock())
            if plan is None:
                raise
            return await self.apply(Observed(trainingjob), plan)
        return 0.0

    async def _create_job(self, trainingjob: TrainingJob, manifest: Body) -> None:
        key = trainingjob.key
        try:
            strict = trainingjob.spec.pod_template is not None
            self._store.put_job(key, await self._cluster.create_job(manifest, strict=strict))
            logger.info("Job created")
        except AlreadyExistsError:
            # Either the watch is late, or another program made the Job, which the watch does not report because it selects by label.
            self._store.put_job(key, await self._cluster.read_job(key))

    async def _patch_status(self, trainingjob: TrainingJob, status: Body) -> TrainingJob:
        updated = await self._cluster.patch_status(trainingjob, status)
        count_change(trainingjob, updated, self._clock())
        self._store.put_trainingjob(updated)
        if status.keys() != {"reportIntervalSeconds"}:
            logger.info("status %s", updated.status.phase, extra=fields(reason=updated.status.reason))
        if (span := ended_span(trainingjob, updated, self._clock())) is not None:
            self._tracing.record(span, updated.traceparent)
        return updated
