"""Runs kopf, whose watches fill the Store, and starts it again after an error."""

import asyncio
import logging
import signal
from contextlib import suppress
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from vott_guard.backoff import Backoff
from vott_operator.app import App
from vott_operator.handlers import registry

logger = logging.getLogger(__name__)

RESTART_BACKOFF = Backoff(first=1.0, longest=15.0)
"""After kopf has ended. """
STABLE_SECONDS = 300.0
"""After so long the next end of kopf counts as the first."""


class _NoMemories(ResourceMemories):
    """Remembers no object. Raw-event handlers need no memory of kopf's, which takes 1 KB for each."""

    async def recall(self, raw_body: Any, **kwargs: Any) -> ResourceMemory:
        return await super().recall(raw_body, **kwargs | {"ephemeral": True})


async def run(app: App) -> None:
    """Run kopf until the operator is to stop. What ends its watches for another reason restarts them: they list everything again."""
    loop, failures, is_stopped = asyncio.get_running_loop(), 0, False
    while not (is_stopped or app.ended.is_set()):
        started = loop.time()
        try:
            is_stopped = await _run_kopf(app)
        except Exception as error:
            failures = 1 if loop.time() - started > STABLE_SECONDS else failures + 1
            delay = RESTART_BACKOFF.seconds(failures)
            logger.exception("the watches have ended (%s); starting them again in %.1f s", type(error).__name__, delay)
            _stop_on_signals(app)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await app.ended.wait()


async def _run_kopf(app: App) -> bool:
    """Run kopf until it is stopped, or until TrainingJobs are served if they were not: it never watches what it did not find at its start.

    Returns whether it was stopped.
    """
    _stop_on_signals(app)
    tasks = [] if await app.is_served() else [asyncio.create_task(app.wait_until_served())]
    kopf_run = asyncio.create_task(
        kopf.operator(
            registry=registry,
            memo=kopf.Memo(app=app),
            memories=_NoMemories(),
            namespaces=app.settings.namespaces,
            standalone=True,
            stop_flag=app.ended,
        )
    )
    tasks.append(kopf_run)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if kopf_run.done():
            await kopf_run
        return kopf_run.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop_on_signals(app: App) -> None:
    """Stop on SIGINT and SIGTERM while kopf does not run: it takes them over at its start, and keeps them after its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, app.ended.set)
