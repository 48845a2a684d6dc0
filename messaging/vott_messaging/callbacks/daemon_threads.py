"""Blocking calls in daemon threads, which the end of the process does not wait for."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread


def run_in_daemon_thread(call: Callable[[], None]) -> "asyncio.Future[None]":
    """Run `call` in a thread of its own; the future is done when it ends. An executor would join its threads before the process ends.

    A callback that is lost this way is posted again after the restart, because its delivery was not recorded.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    Thread(target=_run, args=(call, loop, ended), name="callback", daemon=True).start()
    return ended


def _run(call: Callable[[], None], loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
    error: Exception | None = None
    try:
        call()
    except Exception as caught:  # raised where the future is awaited
        error = caught
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_end, ended, error)


def _end(ended: "asyncio.Future[None]", error: Exception | None) -> None:
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)
