"""Wires the parts of the operator and runs them in the background of kopf's own tasks."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from .callbacks import CallbackSender
from .cluster import Cluster
from .intake import Intake
from .models import TrainingJob
from .names import Key
from .queues.base import QueueSource
from .queues.storage_queue import StorageQueue
from .reconciler import Reconciler
from .settings import QueueSettings, Settings
from .store import Store
from .workqueue import WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 32
RESYNC_SECONDS = 300.0


class App:
    """The running operator. `start` and `stop` are called by kopf's startup and cleanup."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: WorkQueue[Key] | None = None

    async def start(self) -> None:
        """Connect and begin to work. Raises SettingsError or ClusterError when that can't be."""
        sources = [self._open(queue) for queue in self.settings.queues]
        cluster = await Cluster.connect()
        self._stack.push_async_callback(cluster.close)
        callbacks = await self._stack.enter_async_context(CallbackSender(self.settings.callbacks))
        reconciler = Reconciler(cluster, self.store, callbacks, self.settings, lambda: datetime.now(UTC))
        self._queue = WorkQueue(reconciler.reconcile, workers=WORKERS)
        self._spawn(self._queue.run(), "reconcile")
        self._spawn(self._resync(), "resync")
        for source in sources:
            intake = Intake(source, cluster, callbacks, self.settings, room=self._room, created=self.noticed)
            self._spawn(intake.run(), f"intake of {source.identity}")
            logger.info("taking messages from %s", source.identity)

    def _open(self, queue: QueueSettings) -> QueueSource:
        source = StorageQueue(self.settings.storage_connection_string, queue.name)
        self._stack.push_async_callback(source.close)
        return source

    async def stop(self) -> None:
        """Stop receiving, let go of what is in hand, close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def noticed(self, trainingjob: TrainingJob) -> None:
        """A TrainingJob was seen, in a watch or as the answer to a write."""
        if self.store.put_trainingjob(trainingjob):
            self.trigger(trainingjob.key)

    def trigger(self, key: Key) -> None:
        """Something happened around this TrainingJob: reconcile it."""
        if self._queue is not None:
            self._queue.add(key)

    def health(self) -> str:
        """For /healthz: raises RuntimeError when a part has died."""
        for task in self._tasks:
            if task.done():
                raise RuntimeError(f"{task.get_name()} has ended")
        return "ok"

    def _room(self) -> int:
        return self.settings.max_unfinished_jobs - self.store.unfinished

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            for key in self.store.known():
                self.trigger(key)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        self._tasks.append(task)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s has died: %s", task.get_name(), error, exc_info=error)
