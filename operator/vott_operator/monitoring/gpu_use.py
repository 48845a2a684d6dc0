"""GPU time of the trainings, and how much of it interruptions cost. Counted when a trainer's container ends."""

from collections.abc import Callable
from datetime import datetime

from vott_operator import metrics
from vott_operator.api.names import Key
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import Observed, PodState


class GpuUse:
    """Follows the running pods. Only the leader's passes call `observe`, so each pod is counted once.

    A pod that ends while no operator leads is not counted.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._running: dict[Key, dict[str, tuple[TrainingJob, PodState]]] = {}

    def observe(self, key: Key, observed: Observed | None) -> None:
        """Count the pods that have ended since the last call for this TrainingJob; None if it is gone."""
        pods = {pod.name: pod for pod in observed.pods} if observed else {}
        running = self._running.pop(key, {})
        for name, (trainingjob, before) in running.items():
            pod = pods.get(name)
            if pod is None or not pod.running:
                self._count(observed.trainingjob if observed else trainingjob, before, pod)
        if observed is None:
            return
        following = {name: (observed.trainingjob, pod) for name, pod in pods.items() if pod.running}
        if following:
            self._running[key] = following

    def _count(self, trainingjob: TrainingJob, before: PodState, ended: PodState | None) -> None:
        now, namespace = self._clock(), trainingjob.metadata.namespace
        gpus = trainingjob.spec.trainer.gpus
        start = parse_timestamp(before.started_at, now)
        end = parse_timestamp(ended.finished_at if ended else None, now)
        metrics.GPU_SECONDS.labels(namespace).inc(gpus * max(0.0, (end - start).total_seconds()))
        is_wanted = not (trainingjob.finished or trainingjob.deleting or trainingjob.spec.suspend)
        if is_wanted and (ended is None or ended.interrupted):
            checkpoint = trainingjob.status.checkpoint
            kept = max(start, parse_timestamp(checkpoint.time if checkpoint else None, start))
            metrics.GPU_SECONDS_WASTED.labels(namespace).inc(gpus * max(0.0, (end - kept).total_seconds()))
