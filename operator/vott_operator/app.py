"""Wires the parts of the operator and runs them beside kopf's own tasks."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Self

from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome import LastWord
from vott_operator.callbacks.progress import ProgressRelay
from vott_operator.callbacks.sender import CallbackSender, read_keys
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.leader_election import Leadership
from vott_operator.cluster.store import Store, owner_key
from vott_operator.errors import LeadershipLostError, SettingsError, VottOperatorError
from vott_operator.intake.intake import Intake
from vott_operator.queues.factory import open_source
from vott_operator.reconciler import Reconciler
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import QueueSettings
from vott_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

OPERATOR = "operator"
WORKERS = 32
"""TrainingJobs that are worked on, and outcomes that are told, at the same time: also the threads for callbacks."""
REJECTERS = 4
"""Rejected messages of one queue that are told at the same time. Each queue has threads of its own: anybody can send bad messages."""
REPORTERS = 16
"""Progress reports that are told at the same time: fewer, for outcomes matter more."""
RESYNC_SECONDS = 300.0
LEARN_AGAIN_SECONDS = 5.0
RELEASE_SECONDS = 3.0
STOP_SECONDS = 10.0
"""For messages in hand at the end, out of the 30 seconds that Kubernetes gives a pod."""


class App:
    """The running operator, as an async context manager. Raises SettingsError or ClusterError when it can't begin.

    It knows what the watches tell from the first moment, but acts only while it leads.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(self.now())
        self.ended = asyncio.Event()
        """Set when this operator must not go on."""
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._intakes: list[tuple[QueueSettings, Intake]] = []
        self._intake_tasks: list[asyncio.Task[None]] = []
        self._queue: WorkQueue[Key] | None = None
        self._last_words: WorkQueue[Key] | None = None
        self._reports: WorkQueue[Key] | None = None
        """Of progress, to callbacks that are signed."""
        self._claimed = 0

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

    async def _start(self) -> None:
        settings = self.settings
        cluster = await Cluster.connect()
        self._stack.push_async_callback(cluster.close)
        self._check_keys()
        callbacks = await self._open_sender(WORKERS)
        relay = ProgressRelay(cluster, self.store, await self._open_sender(REPORTERS))
        if settings.callbacks.signed:
            self._reports = WorkQueue(relay.tell, workers=REPORTERS, expected=VottOperatorError)
        last_word = LastWord(cluster, self.store, callbacks, settings, self.now, relay.is_posting)
        self._last_words = WorkQueue(last_word.say, workers=WORKERS, expected=VottOperatorError)
        reconciler = Reconciler(cluster, self.store, settings, self.now, self._last_words.add)
        self._queue = WorkQueue(reconciler.reconcile, workers=WORKERS, expected=VottOperatorError)
        await self._open_queues(cluster)
        # The Lease has connections of its own: a renewal must not wait behind a backlog's writes.
        leases = await Cluster.connect()
        self._stack.push_async_callback(leases.close)
        self._tasks.append(self._spawn(self._operate(cluster, leases), OPERATOR))

    async def _open_sender(self, workers: int) -> CallbackSender:
        sender = CallbackSender(self.settings.callbacks, self.settings.outgoing.rules, workers=workers)
        return await self._stack.enter_async_context(sender)

    def _check_keys(self) -> None:
        """Say now that the keys are wrong, and not at the end of a training. All but the callbacks goes on."""
        try:
            read_keys(self.settings.callbacks.signing_dir)
        except SettingsError as error:
            logger.error("no callback is sent until this is mended: %s", error)

    async def _open_queues(self, cluster: Cluster) -> None:
        known: dict[str, QueueSettings] = {}
        for queue in self.settings.queues:
            source = open_source(queue)
            self._stack.push_async_callback(source.close)
            if known.setdefault(source.identity, queue) is not queue:
                raise SettingsError(f"two of the queues are one and the same, {source.identity}; remove one of them")
            callbacks = await self._open_sender(REJECTERS)
            self._intakes.append((queue, Intake(source, queue, cluster, callbacks, self)))

    async def _operate(self, cluster: Cluster, leases: Cluster) -> None:
        election = self.settings.leader_election
        if not election.enabled:
            return self._lead(cluster)
        lease = Key(self.settings.namespace, election.lease_name)
        leadership = Leadership(leases, lease, election.lease_duration_seconds)
        await leadership.acquire()
        self._stack.push_async_callback(self._release, leadership)
        self._lead(cluster)
        try:
            await leadership.hold()
        finally:
            # Another may lead from now on. What both do is harmless, as every name is made from the message, but of no use.
            await _cancel([task for task in self._tasks if task is not asyncio.current_task()])
            await self._stop_intakes(0)
        raise LeadershipLostError(f"the Lease {lease} could not be renewed; another operator may lead")

    @staticmethod
    async def _release(leadership: Leadership) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await leadership.release()

    def _lead(self, cluster: Cluster) -> None:
        assert self._queue is not None
        assert self._last_words is not None
        self._tasks.append(self._spawn(self._queue.run(), "reconcile"))
        self._tasks.append(self._spawn(self._last_words.run(), "last words"))
        if self._reports is not None:
            self._tasks.append(self._spawn(self._reports.run(), "reports"))
        self._tasks.append(self._spawn(self._resync(cluster), "resync"))
        learned = {
            namespace: self._spawn(self._learn(cluster, namespace), f"learn {namespace}")
            for namespace in self.settings.namespaces
        }
        self._tasks += learned.values()
        self._intake_tasks = [
            self._spawn(self._take_in(intake, learned[self.settings.namespace_of(queue)]), f"intake of {queue.name}")
            for queue, intake in self._intakes
        ]

    async def _stop_intakes(self, grace_seconds: float) -> None:
        """Receive nothing more, and finish or release what is in hand."""
        stopping = (intake.stop(grace_seconds) for _, intake in self._intakes)
        await asyncio.gather(_cancel(self._intake_tasks), *stopping)
        await asyncio.gather(*(intake.stop(0) for _, intake in self._intakes))  # what came in the last moment

    # ----------------------------------------------------------------------------------- what the other parts report

    def noticed(self, trainingjob: TrainingJob) -> None:
        """A TrainingJob was seen, in a watch or as the answer to a write."""
        if self.store.put_trainingjob(trainingjob):
            self.trigger(trainingjob.key)
            if self._reports is not None:
                self._reports.add(trainingjob.key)

    def trigger(self, key: Key) -> None:
        """Something happened around this TrainingJob: reconcile it, as soon as this operator leads."""
        if self._queue is not None:
            self._queue.add(key)

    def settled(self, key: Key) -> None:
        """The message of that TrainingJob is removed from its queue."""
        self.store.note_settled(key)
        self.trigger(key)

    @property
    def share(self) -> int:
        """How many messages one queue may have in hand, so that none takes the others' room. At least 1."""
        return self._part(self.settings.max_unfinished_jobs)

    def room(self) -> int:
        """How many new TrainingJobs one queue may make now.

        Several that take the last places at the same moment may exceed the limit, by less than their number.
        """
        return self._part(self.settings.max_unfinished_jobs - self.store.unfinished - self._claimed)

    def _part(self, whole: int) -> int:
        return -(-whole // max(1, len(self._intakes)))

    def claim_room(self, count: int) -> None:
        """So many messages came and will need room."""
        self._claimed += count

    def give_room_back(self, count: int) -> None:
        """What was claimed is not needed any more: the TrainingJob counts now, or there is none."""
        self._claimed -= count

    def twin(self, queue: str, digest: str, message_id: str, window_seconds: float) -> TrainingJob | None:
        """A TrainingJob that another message of the same queue and content brought within that time, and that has neither failed nor been deleted."""
        for trainingjob in self.store.of_content(queue, digest):
            age = self.now() - datetime.fromisoformat(trainingjob.metadata.creation_timestamp)
            again = trainingjob.failed or trainingjob.deleting or trainingjob.is_from(message_id)
            if age.total_seconds() <= window_seconds and not again:
                return trainingjob
        return None

    @staticmethod
    def now() -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def health(self) -> str:
        """For /healthz: raises RuntimeError when a part has died."""
        for task in [*self._tasks, *self._intake_tasks]:
            if task.done() and (task.cancelled() or task.exception() is not None):
                raise RuntimeError(f"{task.get_name()} has ended")
        return "ok"

    def check(self) -> None:
        """Raises the error that ended the operator, if one did."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and isinstance(error := task.exception(), VottOperatorError):
                raise error

    # ------------------------------------------------------------------------------------------- tasks of the leader

    async def _take_in(self, intake: Intake, learned: asyncio.Task[None]) -> None:
        await asyncio.shield(learned)  # without it `room` would be wrong after a restart
        await intake.run()

    async def _learn(self, cluster: Cluster, namespace: str) -> None:
        """Get to know the TrainingJobs there are."""
        while True:
            try:
                async for trainingjob in cluster.list_trainingjobs(namespace):
                    self.store.put_trainingjob(trainingjob)
                return
            except VottOperatorError as error:
                logger.warning("TrainingJobs can't be listed: %s; trying again in %.0f s", error, LEARN_AGAIN_SECONDS)
                await asyncio.sleep(LEARN_AGAIN_SECONDS)

    async def _resync(self, cluster: Cluster) -> None:
        """Now and then look at everything again, and forget what went while a watch was broken: kopf does not tell of that."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                await self._forget_what_is_gone(cluster)
            except VottOperatorError as error:
                logger.warning("resync: %s; again in %.0f s", error, RESYNC_SECONDS)
            for key in self.store.trainingjobs():
                self.trigger(key)

    async def _forget_what_is_gone(self, cluster: Cluster) -> None:
        trainingjobs, jobs, pods = self.store.trainingjobs(), self.store.jobs(), self.store.pods()
        uids, names = set(), set()
        for namespace in self.settings.namespaces:
            uids |= {item.metadata.uid async for item in cluster.list_trainingjobs(namespace)}
            names |= {owner_key(body) async for body in cluster.list_jobs(namespace)}
            pods -= {(owner_key(body), body["metadata"]["name"]) async for body in cluster.list_all_pods(namespace)}
        for key, trainingjob in trainingjobs.items():
            if trainingjob.metadata.uid not in uids:
                self.store.drop_trainingjob(key, trainingjob.metadata.uid)
        for key in jobs.keys() - names:
            self.store.drop_job(key)
        for key, name in pods:
            self.store.drop_pod(key, name)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._report)
        return task

    def _report(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        expected = isinstance(error, VottOperatorError)
        logger.error("%s has ended: %s", task.get_name(), error, exc_info=None if expected else error)
        if task.get_name() == OPERATOR:
            self.ended.set()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
