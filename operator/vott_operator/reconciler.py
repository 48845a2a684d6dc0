"""One pass over one TrainingJob: observe, plan, apply."""

from collections.abc import Callable
from datetime import datetime

from vott_operator.api.names import Key
from vott_operator.cluster.applier import PlanApplier
from vott_operator.cluster.observer import Observer
from vott_operator.decisions.plan import plan
from vott_operator.errors import ConflictError, NotFoundError
from vott_operator.monitoring.gpu_use import GpuUse
from vott_operator.settings.operator import Settings

NOT_FOUND_RETRY_SECONDS = 2.0


class Reconciler:
    """Brings the cluster to the state that TrainingJobs specify. `reconcile` runs on a WorkQueue."""

    def __init__(
        self, observer: Observer, applier: PlanApplier, settings: Settings, clock: Callable[[], datetime]
    ) -> None:
        self._gpu_use = GpuUse(clock)
        self._observer = observer
        self._applier = applier
        self._settings = settings
        self._clock = clock

    async def reconcile(self, key: Key) -> float | None:
        """Make one pass. Returns the seconds until the next, if any. Raises ClusterError when the API fails."""
        try:
            observed = await self._observer.observe(key)
            self._gpu_use.observe(key, observed)
            if observed is None:
                return None
            return await self._applier.apply(observed, plan(observed, self._settings, self._clock()))
        except NotFoundError:
            return NOT_FOUND_RETRY_SECONDS if await self._observer.reread_after_not_found(key) else None
        except ConflictError:
            await self._observer.reread(key)
            return 0.0
