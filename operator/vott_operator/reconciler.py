"""Observe, plan, apply: one pass over one TrainingJob. Every trigger ends here."""

import logging
from collections.abc import Callable
from datetime import datetime

from . import constants as c
from . import names
from .callbacks import CallbackSender, payload
from .cluster import Cluster
from .conditions import Finding
from .errors import AlreadyExistsError, CallbackError, ClusterError, InvalidObjectError, NotFoundError
from .failures import Explanation
from .models import TrainingJob
from .names import Key
from .observed import Observed
from .plan import CallbackNote, EventNote, Plan, plan
from .settings import Settings
from .status import condition_patch, failed, status_patch
from .store import Store

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 2.0
MAX_RETRY_SECONDS = 600.0


class Reconciler:
    """Brings the cluster to what the TrainingJobs ask for. `reconcile` is the work of a WorkQueue."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        callbacks: CallbackSender,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._callbacks = callbacks
        self._settings = settings
        self._clock = clock
        self._attempts: dict[str, int] = {}

    async def reconcile(self, key: Key) -> float | None:
        """One pass. Returns the seconds after which to come back, if any. Raises ClusterError when the API fails."""
        observed = self._store.observed(key)
        if observed is None:
            return None
        try:
            return await self._apply(observed, plan(observed, self._settings, self._clock()))
        except NotFoundError:
            return await self._refresh(key)

    async def _refresh(self, key: Key) -> float | None:
        """Something was gone. Is the TrainingJob, or only what a watch has yet to tell of?"""
        try:
            self._store.put_trainingjob(await self._cluster.read_trainingjob(key))
        except NotFoundError:
            self._store.drop_trainingjob(key)
            return None
        return FIRST_RETRY_SECONDS

    async def _apply(self, observed: Observed, steps: Plan) -> float | None:
        trainingjob = observed.trainingjob
        if steps.create_job is not None:
            await self._create_job(trainingjob, steps.create_job)
        if steps.suspend_job is not None:
            self._store.put_job(await self._cluster.suspend_job(trainingjob.key, steps.suspend_job))
        if steps.status is not None:
            trainingjob = await self._write_status(trainingjob, steps.status)
        for note in steps.events:
            await self._cluster.create_event(trainingjob, note, self._clock())
        if steps.callback is not None:
            return await self._say_last_word(trainingjob, steps.callback)
        # The write may have ended the training, and then the last word is due: look again at once.
        return 0.0 if trainingjob.finished and steps.status is not None else steps.requeue_seconds

    async def _create_job(self, trainingjob: TrainingJob, manifest: dict[str, object]) -> None:
        try:
            self._store.put_job(await self._cluster.create_job(manifest))
            logger.info("%s: Job created", trainingjob.key)
        except AlreadyExistsError:
            return  # its watch event is on the way
        except InvalidObjectError as error:
            await self._fail(
                trainingjob, Explanation(c.INVALID_SPEC, f"The Job was refused by the API server: {error}")
            )

    async def _fail(self, trainingjob: TrainingJob, why: Explanation) -> None:
        status = status_patch(Observed(trainingjob), failed(why), self._clock())
        if status is not None:
            await self._write_status(trainingjob, status)
            await self._cluster.create_event(trainingjob, EventNote("Warning", why.reason, why.message), self._clock())

    async def _write_status(self, trainingjob: TrainingJob, status: dict[str, object]) -> TrainingJob:
        updated = await self._cluster.patch_status(trainingjob, status)
        self._store.put_trainingjob(updated)
        logger.info("%s: %s %s", updated.key, updated.status.phase, updated.status.reason or "")
        return updated

    async def _say_last_word(self, trainingjob: TrainingJob, note: CallbackNote) -> float | None:
        finding, delay = await self._attempt(trainingjob, note)
        status = condition_patch(trainingjob, finding, self._clock())
        if status is not None:
            self._store.put_trainingjob(await self._cluster.patch_status(trainingjob, status))
            logger.info("%s: callback %s %s", trainingjob.key, finding.reason, finding.message)
        return delay

    async def _attempt(self, trainingjob: TrainingJob, note: CallbackNote) -> tuple[Finding, float | None]:
        """Post once; what to record, and the delay before the next attempt."""
        uid = trainingjob.metadata.uid
        try:
            url = await self._callback_url(trainingjob)
            body = payload(trainingjob.metadata.name, note.state, note.message, trainingjob.status.progress)
            await self._callbacks.send(url, names.webhook_id(uid, note.state), body)
        except CallbackError as error:
            return self._undelivered(uid, note, error)
        self._attempts.pop(uid, None)
        return Finding(
            c.CALLBACK_DELIVERED, "True", c.DELIVERED, f"The callback took the outcome ({note.state})."
        ), None

    def _undelivered(self, uid: str, note: CallbackNote, error: CallbackError) -> tuple[Finding, float | None]:
        if error.permanent or note.give_up:
            self._attempts.pop(uid, None)
            reason = c.DELIVERY_REFUSED if error.permanent else c.DELIVERY_GIVEN_UP
            return Finding(c.CALLBACK_DELIVERED, "False", reason, f"{error}. It will not be tried again."), None
        attempt = self._attempts[uid] = self._attempts.get(uid, 0) + 1
        delay = error.retry_after or min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(attempt - 1, 12))
        return Finding(c.CALLBACK_DELIVERED, "False", c.DELIVERY_RETRYING, f"{error}. It is tried again."), delay

    async def _callback_url(self, trainingjob: TrainingJob) -> str:
        assert trainingjob.spec.callback is not None
        reference = trainingjob.spec.url_secret_ref
        if reference is None:
            return trainingjob.spec.callback.url
        try:
            secret = await self._cluster.read_secret(trainingjob.metadata.namespace, reference.name)
            return secret["callback"]
        except (NotFoundError, KeyError):
            raise CallbackError(
                f"Secret {reference.name} has no key callback, which names the URL", permanent=True
            ) from None
        except ClusterError as error:
            raise CallbackError(str(error), permanent=False) from None
