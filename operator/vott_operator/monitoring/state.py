"""Metrics that are counted in the Store at each scrape. Only the leader has them, so that their sum counts nothing twice."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vott_operator.api import constants as c
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.store import Store
from vott_operator.decisions.outcome import has_pending_callback
from vott_operator.monitoring.reasons import bounded_reason

TOTAL = ""
"""Label of the limit of all queues together, and of TrainingJobs that are of no queue."""

Samples = Mapping[tuple[str, ...], float]


class StateCollector(Collector):
    """Counts TrainingJobs, GPUs and callbacks."""

    def __init__(
        self,
        store: Store,
        queues: Mapping[str, str],
        limits: Mapping[str, int],
        is_leading: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        """`queues` has the label of each queue's identity, `limits` the limit of unfinished TrainingJobs by label."""
        self._store = store
        self._queues = queues
        self._limits = limits
        self._is_leading = is_leading
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """The metrics without values: registering them must not read the Store."""
        return _State(self._clock(), self._queues, self._limits).metrics()

    def collect(self) -> Iterable[Metric]:
        """The metrics now."""
        state = _State(self._clock(), self._queues, self._limits)
        if not self._is_leading():
            return []
        for trainingjob in self._store.trainingjobs().values():
            state.add(trainingjob)
        for trainingjob, running_pods in self._store.running_pods():
            state.gpus[trainingjob.metadata.namespace,] += running_pods * trainingjob.spec.trainer.gpus
        return state.metrics()


class _State:
    """The counts of one scrape."""

    def __init__(self, now: datetime, queues: Mapping[str, str], limits: Mapping[str, int]) -> None:
        self._now = now
        self._queues = queues
        self._limits = limits
        self.gpus: Counter[tuple[str, ...]] = Counter()
        self._phases: Counter[tuple[str, ...]] = Counter()
        self._pending_since: dict[tuple[str, ...], float] = {}
        self._stalled: Counter[tuple[str, ...]] = Counter()
        self._unfinished: Counter[tuple[str, ...]] = Counter({(label,): 0 for label in queues.values()})
        self._callbacks = 0
        self._callback_since: dict[tuple[str, ...], float] = {}

    def add(self, trainingjob: TrainingJob) -> None:
        """Count one TrainingJob."""
        namespace, status = trainingjob.metadata.namespace, trainingjob.status
        phase, reason = status.phase or c.PENDING, bounded_reason(status.reason)
        self._phases[namespace, phase, reason] += 1
        if trainingjob.finished:
            if has_pending_callback(trainingjob):
                self._callbacks += 1
                _keep_oldest(self._callback_since, (), self._seconds(status.completion_time))
            return
        identity = trainingjob.metadata.annotations.get(c.ANNOTATION_QUEUE, "")
        self._unfinished[self._queues.get(identity, TOTAL),] += 1
        if phase == c.PENDING:
            running = trainingjob.condition(c.RUNNING)
            since = running.last_transition_time if running else trainingjob.metadata.creation_timestamp
            _keep_oldest(self._pending_since, (namespace, reason), self._seconds(since))
        stalled = trainingjob.condition(c.STALLED)
        if stalled is not None and stalled.status == "True":
            self._stalled[namespace,] += 1

    def metrics(self) -> Iterable[Metric]:
        """All of them, also those without a value."""
        yield _gauge(
            "vott_train_trainingjobs",
            "TrainingJobs by phase and reason.",
            ["training_namespace", "phase", "reason"],
            self._phases,
        )
        yield _gauge(
            "vott_train_trainingjobs_pending_since_timestamp_seconds",
            "Since when the longest pending TrainingJob has been pending.",
            ["training_namespace", "reason"],
            self._pending_since,
        )
        yield _gauge(
            "vott_train_trainingjobs_stalled",
            "Running TrainingJobs that no longer report.",
            ["training_namespace"],
            self._stalled,
        )
        yield _gauge("vott_train_gpus_in_use", "GPUs of the trainers that run now.", ["training_namespace"], self.gpus)
        yield _gauge(
            "vott_train_unfinished_trainingjobs",
            "Unfinished TrainingJobs by queue; queue is empty for those that came from none.",
            ["queue"],
            self._unfinished,
        )
        yield _gauge(
            "vott_train_unfinished_trainingjobs_limit",
            "At this many, messages stay in their queues; queue is empty for the limit of all together.",
            ["queue"],
            {(label,): limit for label, limit in self._limits.items()},
        )
        yield _gauge("vott_train_callbacks_pending", "Outcomes that are still to be posted.", [], {(): self._callbacks})
        yield _gauge(
            "vott_train_callbacks_pending_since_timestamp_seconds",
            "When the training ended whose outcome has waited longest; absent without one.",
            [],
            self._callback_since,
        )

    def _seconds(self, time: str | None) -> float:
        return parse_timestamp(time, self._now).timestamp()


def _keep_oldest(times: dict[tuple[str, ...], float], labels: tuple[str, ...], time: float) -> None:
    times[labels] = min(time, times.get(labels, time))


def _gauge(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples.items():
        gauge.add_metric(values, value)
    return gauge
