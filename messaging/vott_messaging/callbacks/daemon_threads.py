"""Blocking calls in daemon threads, which the end of the process does not wait for."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread


class DaemonThreads:
    """Runs at most `limit` calls at once. An executor would join its threads before the process ends.

    A callback that is lost this way is posted again after the restart, because its delivery was not recorded.
    """

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)

    async def run(self, call: Callable[[], None]) -> None:
        """Run `call` in a thread. Cancellation does not stop the thread, which counts until it ends."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        Thread(target=self._call, args=(call, loop, ended), name="callback", daemon=True).start()
        await ended

    def _call(self, call: Callable[[], None], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        error: Exception | None = None
        try:
            call()
        except Exception as caught:  # raised where `run` is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._end, ended, error)

    def _end(self, ended: asyncio.Future[None], error: Exception | None) -> None:
        self._free.release()
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)
