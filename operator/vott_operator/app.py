"""Wires the operator's parts, leads or stands by, and runs beside kopf's own tasks."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.callbacks.signing_key_files import read_signing_keys
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.errors import SettingsError, VottError
from vott_messaging.queues.base import QueueSource
from vott_messaging.queues.factory import open_source
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome_callback import OutcomeCallbacks
from vott_operator.callbacks.progress_callback import ProgressCallbacks
from vott_operator.cluster.applier import PlanApplier
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.leader_election import Leadership
from vott_operator.cluster.observer import Observer
from vott_operator.cluster.resync import Resync
from vott_operator.cluster.store import Store
from vott_operator.decisions.report_change import is_only_report
from vott_operator.decisions.report_interval import has_other_interval
from vott_operator.errors import LeadershipLostError
from vott_operator.intake.capacity import Capacity
from vott_operator.intake.conversion import Converter
from vott_operator.intake.intake import Intake
from vott_operator.reconciler import Reconciler
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

OPERATOR = "operator"
WORKERS = 32
"""TrainingJobs that are reconciled at a time, and outcome callbacks that are posted at a time, each from its own thread."""
PROGRESS_WORKERS = 16
"""Progress callbacks that are posted at a time: fewer, because outcomes matter more."""
REJECTION_WORKERS = 4
"""Callbacks of rejected messages that are posted at a time. Each queue has its own: anyone can send bad messages."""
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


class App:
    """The running operator, as an async context manager. Raises SettingsError or ClusterError when it can't start.

    kopf's watches fill the Store from the start. Only the leader receives messages, writes to the cluster and posts callbacks.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(self.now())
        self.capacity = Capacity(self.store, settings.max_unfinished_jobs, len(settings.queues))
        self.ended = asyncio.Event()
        """Set when the operator has to stop, for example because it lost the Lease."""
        self._stack = AsyncExitStack()
        self._reconcile_queue = WorkQueue[Key](workers=WORKERS, expected=VottError)
        self._outcome_queue = WorkQueue[Key](workers=WORKERS, expected=VottError)
        self._progress_queue = WorkQueue[Key](workers=PROGRESS_WORKERS, expected=VottError)
        self._intakes: list[tuple[OperatorQueueSettings, Intake]] = []
        self._intake_tasks: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []

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
        cluster = await self._connect()
        leases = await self._connect()  # its own connections: a renewal must not wait behind a backlog of writes
        self._check_keys()
        progress = ProgressCallbacks(cluster, self.store, await self._open_sender(PROGRESS_WORKERS))
        sender = await self._open_sender(WORKERS)
        outcomes = OutcomeCallbacks(cluster, self.store, sender, settings.callbacks, self.now, progress.is_posting)
        observer = Observer(cluster, self.store, settings.pod_settings, self.now)
        applier = PlanApplier(cluster, self.store, self.now, self._outcome_queue.add)
        reconciler = Reconciler(observer, applier, settings, self.now)
        resync = Resync(cluster, self.store, settings.namespaces, self.enqueue)
        await self._open_queues(cluster)
        parts = _Parts(reconciler, outcomes, progress, resync)
        self._tasks.append(self._spawn(self._operate(leases, parts), OPERATOR))

    async def _connect(self) -> Cluster:
        cluster = await Cluster.connect()
        self._stack.push_async_callback(cluster.close)
        return cluster

    async def _open_sender(self, workers: int) -> CallbackSender:
        sender = CallbackSender(self.settings.callbacks, self.settings.outgoing.rules, workers=workers)
        return await self._stack.enter_async_context(sender)

    def _check_keys(self) -> None:
        """Report unusable signing keys now rather than at the end of a training. Everything but callbacks works without them."""
        try:
            read_signing_keys(self.settings.callbacks.signing_dir)
        except SettingsError as error:
            logger.error("no callback is sent until this is fixed: %s", error)

    async def _open_queues(self, cluster: Cluster) -> None:
        opened: dict[str, OperatorQueueSettings] = {}
        for queue in self.settings.queues:
            source = open_source(queue)
            self._stack.push_async_callback(source.close)
            if opened.setdefault(source.identity, queue) is not queue:
                raise SettingsError(f"two of the queues are the same queue, {source.identity}; remove one of them")
            sender = await self._open_sender(REJECTION_WORKERS)
            self._intakes.append((queue, self.build_intake(source, queue, cluster, sender)))

    def build_intake(
        self, source: QueueSource, queue: OperatorQueueSettings, cluster: Cluster, sender: CallbackSender
    ) -> Intake:
        """Wire the intake of one queue."""
        converter = Converter(
            source.identity, queue, self.settings, cluster, self.store, self.now, self.observe_trainingjob
        )
        return Intake(source, converter, Rejection(source, sender), self.capacity, self.message_completed)

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
            # Another operator may lead from now on. Two at a time do no harm, because every name derives from its message.
            await _cancel([task for task in self._tasks if task is not asyncio.current_task()])
            await self._stop_intakes(0)
        raise LeadershipLostError(f"the Lease {lease} could not be renewed; another operator may lead")

    def _lead(self, parts: _Parts) -> None:
        self._tasks += [
            self._spawn(self._reconcile_queue.run(parts.reconciler.reconcile), "reconcile"),
            self._spawn(self._outcome_queue.run(parts.outcomes.send), "outcome callbacks"),
            self._spawn(self._progress_queue.run(parts.progress.send), "progress callbacks"),
            self._spawn(parts.resync.run(), "resync"),
        ]
        initial_lists = {
            namespace: self._spawn(parts.resync.list_trainingjobs(namespace), f"initial list of {namespace}")
            for namespace in self.settings.namespaces
        }
        self._tasks += initial_lists.values()
        for queue, intake in self._intakes:
            initial_list = initial_lists[self.settings.namespace_of(queue)]
            self._intake_tasks.append(self._spawn(self._run_intake(intake, initial_list), f"intake of {queue.name}"))

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
            if not is_only_report(before, trainingjob) or self._has_other_interval(trainingjob.key):
                self.enqueue(trainingjob.key)
            if self.settings.callbacks.signed:  # else the trainer posts its progress itself
                self._progress_queue.add(trainingjob.key)

    def _has_other_interval(self, key: Key) -> bool:
        observed = self.store.observed(key)
        return observed is not None and has_other_interval(observed)

    def enqueue(self, key: Key) -> None:
        """Reconcile this TrainingJob, as soon as this operator leads."""
        self._reconcile_queue.add(key)

    def message_completed(self, key: Key) -> None:
        """Record that the message of this TrainingJob was removed from its queue."""
        self.store.mark_settled(key)
        self.enqueue(key)

    # ---------------------------------------------------------------------------------------------------------- health

    def health(self) -> str:
        """Answer /healthz. Raises RuntimeError when a task has failed."""
        for task in [*self._tasks, *self._intake_tasks]:
            if task.done() and (task.cancelled() or task.exception() is not None):
                raise RuntimeError(f"{task.get_name()} has ended")
        return "ok"

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
        expected = isinstance(error, VottError)
        logger.error("%s has ended: %s", task.get_name(), error, exc_info=None if expected else error)
        if task.get_name() == OPERATOR:
            self.ended.set()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
