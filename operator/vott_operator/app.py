"""Wires the operator's parts, leads or stands by, and runs beside kopf's own tasks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import SettingsError, VottError
from vott_messaging.queues.base import QueueSource
from vott_messaging.queues.factory import open_source
from vott_operator import metrics
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome_callback import OutcomeCallbacks
from vott_operator.callbacks.progress_callback import ProgressCallbacks
from vott_operator.callbacks.url import CallbackURLs
from vott_operator.cluster.applier import PlanApplier
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.leader_election import Leadership
from vott_operator.cluster.namespaces import Condition, Namespaces
from vott_operator.cluster.observer import Observer
from vott_operator.cluster.resync import NOT_SERVED, Resync
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.store import Store
from vott_operator.cluster.watch_lag import WatchLag
from vott_operator.decisions.report_change import is_only_report
from vott_operator.decisions.report_interval import has_other_interval
from vott_operator.errors import ClusterError, LeadershipLostError, UnavailableError
from vott_operator.health.conditions import NAMESPACE_WATCHED, QUEUE_REACHABLE, Health
from vott_operator.health.monitor import HealthMonitor
from vott_operator.intake.capacity import Capacity
from vott_operator.intake.conversion import Converter
from vott_operator.intake.intake import Intake
from vott_operator.monitoring.backlog import watch_backlog
from vott_operator.monitoring.metered_source import MeteredSource
from vott_operator.monitoring.queue_labels import queue_label
from vott_operator.monitoring.state import StateCollector
from vott_operator.reconciler import Reconciler
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings, QueueLimits
from vott_operator.tracing import Tracing
from vott_operator.workqueue import GivenUpError, WorkQueue

logger = logging.getLogger(__name__)

OPERATOR = "operator"
WORKERS = 32
"""TrainingJobs that are reconciled at a time."""
OUTCOME_WORKERS = 512
"""Outcome callbacks that are posted at a time. Each has a thread, which takes 50 to 150 KB: there are many only while many hosts hang."""
PROGRESS_WORKERS = 128
"""Progress callbacks that are posted at a time: fewer, because outcomes matter more."""
REJECTION_WORKERS = 64
"""Callbacks of rejected messages that are posted at a time. Each queue has its own: anyone can send bad messages."""
SERVED_SECONDS = 5.0
"""Between two looks whether the API server serves TrainingJobs."""
LAG_SECONDS = 180.0
"""Of the watches behind the lists; kopf opens each watch again after 300 seconds without an event."""
URL_WORKERS = 4
"""Secrets with callback URLs that are read at a time, after a start."""
RELEASE_SECONDS = 3.0
STOP_SECONDS = 10.0
"""For messages in flight when the operator stops, out of the 30 seconds that Kubernetes gives a pod."""


@dataclass(frozen=True)
class _Parts:
    """What the leader runs, beside the intakes."""

    reconciler: Reconciler
    outcomes: OutcomeCallbacks
    progress: ProgressCallbacks
    resync: Resync
    urls: CallbackURLs
    bindings: RoleBindingFinalizers


class App:
    """The running operator, as an async context manager. Raises SettingsError or ClusterError when it can't start.

    kopf's watches fill the Store from the start. Only the leader receives messages, writes to the cluster and posts callbacks.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(self.now())
        self.namespaces = Namespaces(settings.namespaces, self.now)
        self.watch_lag = WatchLag(self.store, self.now)
        self.health = Health()
        self.tracing = Tracing(settings.tracing.endpoint)
        self.ended = asyncio.Event()
        """Set when the operator has to stop, for example because it lost the Lease."""
        self._not_served = ""
        """Why TrainingJobs were not served, as logged."""
        self._stack = AsyncExitStack()
        self._reconcile_queue = WorkQueue[Key](
            "reconcile", workers=WORKERS, expected=VottError, outage=UnavailableError
        )
        self._outcome_queue = WorkQueue[Key]("outcome-callbacks", expected=VottError, outage=UnavailableError)
        self._progress_queue = WorkQueue[Key]("progress-callbacks", expected=VottError, outage=UnavailableError)
        self._url_queue = WorkQueue[Key](
            "callback-urls", workers=URL_WORKERS, expected=VottError, outage=UnavailableError
        )
        self._binding_queue = WorkQueue[str](
            "role-bindings", log_field="namespace", workers=1, expected=VottError, outage=UnavailableError
        )
        self._sources: dict[str, QueueSource] = {}
        """By the queue's label in the metrics."""
        self._limits: dict[str, QueueLimits] = {}
        """By the same."""
        self._intakes: list[tuple[OperatorQueueSettings, Intake]] = []
        self._intake_tasks: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._leads = False

    @staticmethod
    def now() -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_intakes(STOP_SECONDS)
        await _cancel(self._tasks)
        await self._stack.aclose()

    # -------------------------------------------------------------------------------------------------------- start-up

    async def _start(self) -> None:
        settings = self.settings
        self._stack.push_async_callback(self.tracing.close)
        self._cluster = cluster = await self._connect()
        leases = await self._connect()  # its own connections: a renewal must not wait behind a backlog of writes
        urls = CallbackURLs(cluster, self.store, self.now)
        bindings = RoleBindingFinalizers(cluster, self.store, settings.role_binding, settings.namespace)
        progress = ProgressCallbacks(self.store, urls, await self._open_sender(PROGRESS_WORKERS))
        sender = await self._open_sender(OUTCOME_WORKERS)
        outcomes = OutcomeCallbacks(
            cluster, self.store, urls, sender, settings.callbacks, self.now, progress.is_posting, tracing=self.tracing
        )
        observer = Observer(cluster, self.store, settings.pod_settings, self.now)
        applier = PlanApplier(cluster, self.store, bindings, self.now, self._outcome_queue.add, self.tracing)
        reconciler = Reconciler(observer, applier, settings, self.now)
        resync = Resync(cluster, self.store, self.namespaces, self.watch_lag, self.resume, self.now)
        await self._open_queues(cluster, bindings)
        self._open_metrics()
        parts = _Parts(reconciler, outcomes, progress, resync, urls, bindings)
        signing_dir = settings.callbacks.signing_dir
        monitor = HealthMonitor(self.health, cluster, settings.namespace, signing_dir, self.now)
        self._tasks.append(self._spawn(monitor.run(), "health"))
        for namespace in settings.namespaces:
            self.health.follow(NAMESPACE_WATCHED, namespace, partial(self._problem_of, namespace))
            self._tasks.append(self._spawn(resync.run(namespace), f"resync of {namespace}"))
        self._tasks.append(self._spawn(self._operate(leases, parts), OPERATOR))

    async def _connect(self) -> Cluster:
        cluster = await Cluster.connect()
        self._stack.push_async_callback(cluster.close)
        return cluster

    async def _open_sender(self, workers: int) -> CallbackSender:
        sender = CallbackSender(self.settings.callbacks, self.settings.outgoing.rules, workers=workers)
        return await self._stack.enter_async_context(sender)

    async def _open_queues(self, cluster: Cluster, bindings: RoleBindingFinalizers) -> None:
        opened: dict[str, OperatorQueueSettings] = {}
        for queue in self.settings.queues:
            source = open_source(queue)
            self._stack.push_async_callback(source.close)
            if opened.setdefault(source.identity, queue) is not queue:
                raise SettingsError(f"two of the queues are the same queue, {source.identity}; remove one of them")
            sender = await self._open_sender(REJECTION_WORKERS)
            label = queue_label(queue, source.identity, self.settings.queues)
            self._sources[label] = metered = MeteredSource(source, label)
            self._limits[label] = self.settings.limits_of(queue)
            self._intakes.append((queue, self.build_intake(metered, queue, cluster, sender, bindings, label)))

    def build_intake(
        self,
        source: QueueSource,
        queue: OperatorQueueSettings,
        cluster: Cluster,
        sender: CallbackSender,
        bindings: RoleBindingFinalizers,
        label: str = "",
    ) -> Intake:
        """Wire the intake of one queue. `label` is its label in the metrics, by default its name."""
        converter = Converter(
            source.identity,
            queue,
            self.settings,
            cluster,
            self.store,
            bindings,
            self.now,
            self.observe_trainingjob,
            self.tracing,
        )
        capacity = Capacity(self.store, source.identity, self.settings.limits_of(queue))
        namespace = self.settings.namespace_of(queue)
        rejection = Rejection(source, sender)
        report = partial(self.health.report, QUEUE_REACHABLE, source.identity)
        report("")
        return Intake(
            source,
            converter,
            rejection,
            capacity,
            self.namespaces,
            namespace,
            self.message_completed,
            report,
            label or queue.name,
        )

    def _problem_of(self, namespace: str) -> str:
        """Why a namespace is not watched, as a sentence; empty if it is."""
        state, lag = self.namespaces.state(namespace), self.watch_lag.seconds(namespace)
        if state.condition == Condition.UNKNOWN:
            return f"The TrainingJobs of namespace {namespace} were not listed yet."
        if state.condition != Condition.USABLE:
            return f"Namespace {namespace}: {state.message}."
        if lag > LAG_SECONDS:
            return f"The watches of namespace {namespace} are {lag:.0f} s behind."
        return ""

    def _open_metrics(self) -> None:
        metrics.declare(self._sources, self.settings.namespaces)
        identities = {source.identity: label for label, source in self._sources.items()}
        collector = StateCollector(self.store, identities, self._limits, lambda: self._leads, self.now)
        metrics.REGISTRY.register(collector)
        self._stack.callback(metrics.REGISTRY.unregister, collector)

    # --------------------------------------------------------------------------------------------------------- leading

    async def _operate(self, leases: Cluster, parts: _Parts) -> None:
        election = self.settings.leader_election
        if not election.enabled:
            return self._lead(parts)
        lease = Key(self.settings.namespace, election.lease_name)
        leadership = Leadership(leases, lease, election.lease_duration_seconds)
        await leadership.acquire()
        self._stack.push_async_callback(self._release, leadership)
        self._lead(parts)
        try:
            await leadership.hold()
        finally:
            self._set_leads(False)
            # Another operator may lead from now on. Two at a time do no harm, because every name derives from its message.
            await _cancel([task for task in self._tasks if task is not asyncio.current_task()])
            await self._stop_intakes(0)
        raise LeadershipLostError(f"the Lease {lease} could not be renewed; another operator may lead")

    def _set_leads(self, leads: bool) -> None:
        self._leads = leads
        metrics.LEADER.set(leads)

    def _lead(self, parts: _Parts) -> None:
        self._set_leads(True)
        self._tasks += [
            self._spawn(self._reconcile_queue.run(self._if_accessible(parts.reconciler.reconcile)), "reconcile"),
            self._spawn(self._outcome_queue.run(self._if_accessible(parts.outcomes.send)), "outcome callbacks"),
            self._spawn(self._progress_queue.run(self._if_accessible(parts.progress.send)), "progress callbacks"),
            self._spawn(self._url_queue.run(self._if_accessible(parts.urls.remember)), "callback URLs"),
            self._spawn(self._binding_queue.run(parts.bindings.reconcile), "RoleBindings"),
        ]
        for namespace in self.settings.namespaces:
            for key in self.store.keys(namespace):
                self.resume(key)
        initial_lists = {
            namespace: self._spawn(self._list(parts, namespace), f"initial list of {namespace}")
            for namespace in self.settings.namespaces
        }
        self._tasks += initial_lists.values()
        self._tasks += [
            self._spawn(watch_backlog(source, label), f"backlog of {label}") for label, source in self._sources.items()
        ]
        for queue, intake in self._intakes:
            initial_list = initial_lists[self.settings.namespace_of(queue)]
            self._intake_tasks.append(self._spawn(self._run_intake(intake, initial_list), f"intake of {queue.name}"))

    def _if_accessible(
        self, work: Callable[[Key], Awaitable[float | None]]
    ) -> Callable[[Key], Awaitable[float | None]]:
        """Work only in namespaces where it can succeed. Once a namespace is accessible again, the resync resumes its TrainingJobs."""

        async def work_if_accessible(key: Key) -> float | None:
            if not self.namespaces.state(key.namespace).is_accessible:
                raise GivenUpError
            try:
                return await work(key)
            except ClusterError as error:
                if error.is_refusal:
                    self.namespaces.check_soon(key.namespace)
                raise

        return work_if_accessible

    async def is_served(self) -> bool:
        """Whether the API server answers, and serves TrainingJobs."""
        try:
            served, problem = await self._cluster.serves_trainingjobs(), NOT_SERVED
        except ClusterError as error:
            served, problem = False, str(error)
        if not served and problem != self._not_served:
            logger.warning("waiting for the API server: %s", problem)
        self._not_served = "" if served else problem
        return served

    async def wait_until_served(self) -> None:
        """Wait until the API server serves TrainingJobs."""
        while True:
            if await self.is_served():
                return
            await asyncio.sleep(SERVED_SECONDS)

    async def _list(self, parts: _Parts, namespace: str) -> None:
        await parts.resync.wait_until_shown(namespace)
        parts.bindings.listed(namespace)
        self._binding_queue.add(namespace)

    @staticmethod
    async def _run_intake(intake: Intake, initial_list: asyncio.Task[None]) -> None:
        await asyncio.shield(initial_list)  # the capacity counts the TrainingJobs of earlier processes
        await intake.run()

    # -------------------------------------------------------------------------------------------------------- stopping

    async def _stop_intakes(self, grace_seconds: float) -> None:
        """Receive no more messages; finish or abandon those in flight."""
        stopping = (intake.stop(grace_seconds) for _, intake in self._intakes)
        await asyncio.gather(_cancel(self._intake_tasks), *stopping)
        await asyncio.gather(*(intake.stop(0) for _, intake in self._intakes))  # received just before the cancellation

    @staticmethod
    async def _release(leadership: Leadership) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await leadership.release()

    # ---------------------------------------------------------------------------------------------------------- events

    def observe_trainingjob(self, trainingjob: TrainingJob) -> None:
        """Store a TrainingJob from a watch or from the answer to a write, unless it is outdated, and reconcile it if a plan may differ."""
        before = self.store.trainingjob(trainingjob.key)
        if self.store.put_trainingjob(trainingjob):
            observed = self.store.observed(trainingjob.key)
            if observed is None or not is_only_report(before, observed.trainingjob) or has_other_interval(observed):
                self.enqueue(trainingjob.key)
            self._binding_queue.add(trainingjob.metadata.namespace)
            if self._leads:
                self._url_queue.add(trainingjob.key)
                if self.settings.callbacks.signed:  # else the trainer posts its progress itself
                    self._progress_queue.add(trainingjob.key)

    def drop_trainingjob(self, key: Key, uid: str) -> None:
        """Drop a TrainingJob that a watch reports as deleted."""
        self.store.drop_trainingjob(key, uid)
        self._binding_queue.add(key.namespace)

    def enqueue(self, key: Key) -> None:
        """Reconcile this TrainingJob, if this operator leads: a standby's queues would only grow."""
        if self._leads:
            self._reconcile_queue.add(key)

    def resume(self, key: Key) -> None:
        """Do what may be due for this TrainingJob, of which no event tells: at the start, and when its namespace was inaccessible."""
        self.enqueue(key)
        if self._leads and self.store.is_unfinished(key):
            self._url_queue.add(key)

    def message_completed(self, key: Key) -> None:
        """Record that the message of this TrainingJob was removed from its queue."""
        self.store.mark_settled(key)
        self.enqueue(key)

    # ---------------------------------------------------------------------------------------------------------- health

    def defect(self) -> str:
        """What only a restart can fix: a task that has ended with an error. Empty if there is nothing."""
        for task in [*self._tasks, *self._intake_tasks]:
            if task.done() and (task.cancelled() or task.exception() is not None):
                return f"{task.get_name()} has ended"
        return ""

    def check(self) -> None:
        """Raise the error that ended the operator, if one did."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and isinstance(error := task.exception(), VottError):
                raise error

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._log_failure)
        return task

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        is_operator, expected = task.get_name() == OPERATOR, isinstance(error, VottError)
        if not (is_operator and expected):  # `check` raises that one
            logger.error("%s has ended: %s", task.get_name(), error, exc_info=None if expected else error)
        if is_operator:
            self.ended.set()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
