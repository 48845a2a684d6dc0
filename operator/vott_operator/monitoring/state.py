"""Metrics that are counted in the Store at each scrape. Only the leader has them, so that their sum counts nothing twice."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vott_operator.api.times import parse_timestamp
from vott_operator.cluster.store import Store
from vott_operator.decisions.summary import Summary
from vott_operator.monitoring.reasons import bounded_reason
from vott_operator.settings.queue import QueueLimits

NO_QUEUE = ""
"""Label of TrainingJobs that are of no queue."""

Samples = Mapping[tuple[str, ...], float]


class StateCollector(Collector):
    """Counts TrainingJobs, GPUs and callbacks."""

    def __init__(
        self,
        store: Store,
        queues: Mapping[str, str],
        limits: Mapping[str, QueueLimits],
        is_leading: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        """`queues` has the label of each queue's identity, `limits` the limits by label."""
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
        for key, item in self._store.summaries():
            state.add(key.namespace, item)
        for namespace, gpus in self._store.running_gpus().items():
            state.gpus[namespace,] += gpus
        return state.metrics()


class _State:
    """The counts of one scrape."""

    def __init__(self, now: datetime, queues: Mapping[str, str], limits: Mapping[str, QueueLimits]) -> None:
        self._now = now
        self._queues = queues
        self._limits = limits
        self.gpus: Counter[tuple[str, ...]] = Counter()
        self._phases: Counter[tuple[str, ...]] = Counter()
        self._pending_since: dict[tuple[str, ...], float] = {}
        self._stalled: Counter[tuple[str, ...]] = Counter()
        self._unfinished: Counter[tuple[str, ...]] = Counter({(label,): 0 for label in queues.values()})
        self._waiting = self._unfinished.copy()
        self._callbacks = 0
        self._callback_since: dict[tuple[str, ...], float] = {}

    def add(self, namespace: str, item: Summary) -> None:
        """Count one TrainingJob."""
        reason = bounded_reason(item.reason)
        self._phases[namespace, item.phase, reason] += 1
        if item.callback_since:
            self._callbacks += 1
            _keep_oldest(self._callback_since, (), self._seconds(item.callback_since))
        if item.finished:
            return
        counts = self._waiting if item.waits_for_quota else self._unfinished
        counts[self._queues.get(item.queue, NO_QUEUE),] += 1
        if item.pending_since:
            _keep_oldest(self._pending_since, (namespace, reason), self._seconds(item.pending_since))
        if item.is_stalled:
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
            "Unfinished TrainingJobs by queue, without those that wait for quota; queue is empty for those that came from none.",
            ["queue"],
            self._unfinished,
        )
        yield _gauge(
            "vott_train_unfinished_trainingjobs_limit",
            "At this many, messages stay in the queue.",
            ["queue"],
            {(label,): limits.unfinished for label, limits in self._limits.items()},
        )
        yield _gauge(
            "vott_train_waiting_for_quota_trainingjobs",
            "TrainingJobs that are suspended or wait for quota, by queue; queue is empty for those that came from none.",
            ["queue"],
            self._waiting,
        )
        yield _gauge(
            "vott_train_waiting_for_quota_trainingjobs_limit",
            "At this many, messages stay in the queue.",
            ["queue"],
            {(label,): limits.waiting_for_quota for label, limits in self._limits.items()},
        )
        yield _gauge("vott_train_callbacks_pending", "Outcomes that are still to be posted.", [], {(): self._callbacks})
        yield _gauge(
            "vott_train_callbacks_pending_since_timestamp_seconds",
            "When the training ended whose outcome has waited longest; absent without one.",
            [],
            self._callback_since,
        )

    def _seconds(self, time: str) -> float:
        return parse_timestamp(time, self._now).timestamp()


def _keep_oldest(times: dict[tuple[str, ...], float], labels: tuple[str, ...], time: float) -> None:
    times[labels] = min(time, times.get(labels, time))


def _gauge(name: str, text: str, labels: list[str], samples: Samples) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples.items():
        gauge.add_metric(values, value)
    return gauge
