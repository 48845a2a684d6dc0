"""Wires the parts of the operator and runs them beside kopf's own tasks."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Self

from .callbacks import CallbackSender
from .cluster import Cluster
from .errors import VottOperatorError
from .intake import Intake
from .last_word import LastWord
from .models import TrainingJob
from .names import Key
from .queues.base import QueueSource
from .queues.storage_queue import StorageQueue
from .reconciler import Reconciler
from .settings import Settings
from .store import Store, owner_key
from .workqueue import WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 32
RESYNC_SECONDS = 300.0
LEARN_AGAIN_SECONDS = 5.0


class App:
    """The running operator, as an async context manager. Raises SettingsError or ClusterError when it can't begin."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: WorkQueue[Key] | None = None
        self._last_words: WorkQueue[Key] | None = None
        self._learned = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _start(self) -> None:
        cluster = await Cluster.connect()
        self._stack.push_async_callback(cluster.close)
        callbacks = await self._stack.enter_async_context(CallbackSender(self.settings.callbacks))
        last_word = LastWord(cluster, self.store, callbacks, self.settings, _now)
        self._last_words = WorkQueue(last_word.say, workers=WORKERS, expected=VottOperatorError)
        reconciler = Reconciler(cluster, self.store, self.settings, _now, self._last_words.add)
        self._queue = WorkQueue(reconciler.reconcile, workers=WORKERS, expected=VottOperatorError)
        intakes = [Intake(source, cluster, callbacks, self) for source in self._sources()]
        self._spawn(self._queue.run(), "reconcile")
        self._spawn(self._last_words.run(), "last words")
        self._spawn(self._resync(cluster), "resync")
        self._spawn(self._learn(cluster), "learn")
        for number, intake in enumerate(intakes):
            self._spawn(self._take_in(intake), f"intake {number}")

    def _sources(self) -> list[QueueSource]:
        connection_string = self.settings.storage_connection_string
        sources = [StorageQueue(connection_string, queue.name) for queue in self.settings.queues]
        for source in sources:
            self._stack.push_async_callback(source.close)
            logger.info("taking messages from %s", source.identity)
        return list(sources)

    def noticed(self, trainingjob: TrainingJob) -> None:
        """A TrainingJob was seen, in a watch or as the answer to a write."""
        if self.store.put_trainingjob(trainingjob):
            self.trigger(trainingjob.key)

    def trigger(self, key: Key) -> None:
        """Something happened around this TrainingJob: reconcile it."""
        if self._queue is not None:
            self._queue.add(key)

    def room(self) -> int:
        """How many more TrainingJobs may be made now."""
        return self.settings.max_unfinished_jobs - self.store.unfinished

    def health(self) -> str:
        """For /healthz: raises RuntimeError when a part has died."""
        for task in self._tasks:
            if task.done() and not (task.get_name() == "learn" and self._learned.is_set()):
                raise RuntimeError(f"{task.get_name()} has ended")
        return "ok"

    async def _learn(self, cluster: Cluster) -> None:
        """Get to know the TrainingJobs there are, without which `room` would be wrong after a restart."""
        while not self._learned.is_set():
            try:
                async for trainingjob in cluster.list_trainingjobs(self.settings.namespace):
                    self.store.put_trainingjob(trainingjob)
                self._learned.set()
            except VottOperatorError as error:
                logger.warning("TrainingJobs can't be listed: %s; trying again in %.0f s", error, LEARN_AGAIN_SECONDS)
                await asyncio.sleep(LEARN_AGAIN_SECONDS)

    async def _take_in(self, intake: Intake) -> None:
        await self._learned.wait()
        await intake.run()

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
        trainingjobs, jobs = self.store.trainingjobs(), self.store.jobs()
        uids = {item.metadata.uid async for item in cluster.list_trainingjobs(self.settings.namespace)}
        for key, trainingjob in trainingjobs.items():
            if trainingjob.metadata.uid not in uids:
                self.store.drop_trainingjob(key, trainingjob.metadata.uid)
        names = {owner_key(body) async for body in cluster.list_jobs(self.settings.namespace)}
        for key in jobs.keys() - names:
            self.store.drop_job(key)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        self._tasks.append(task)


def _now() -> datetime:
    return datetime.now(UTC)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s has died: %s", task.get_name(), error, exc_info=error)
