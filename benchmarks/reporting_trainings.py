"""Trainings that report and end, without trainers: their reports keep the trainer's own interval, and the kubelet's part is played too."""

import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Self

from aiohttp import web

from benchmarks.bare_client import BareClient
from tests.support.examples import REPORTED_MODEL
from vott_trainer.progress.report_interval import ReportInterval
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.status_fields import status_fields

EPOCHS, STEPS = 100_000, 100
SPREAD_SECONDS = 20.0


class CallbackReceiver:
    """An HTTP server that notes when which post arrives. Use it as an async context manager."""

    def __init__(self) -> None:
        self.progress: dict[str, list[float]] = defaultdict(list)
        """Times of the progress posts of each training."""
        self.outcomes: dict[str, float] = {}
        """Time of the outcome of each training."""
        self.url = ""
        application = web.Application()
        application.router.add_post("/", self._receive)
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["state"] == "running":
            self.progress[body["job"]].append(time.monotonic())
        else:
            self.outcomes.setdefault(body["job"], time.monotonic())
        return web.Response(status=204)


@dataclass
class Training:
    """One training, in which every report finds new progress."""

    name: str
    pod: str
    client: BareClient
    ended: float | None = None
    """When the kubelet reported the end of its pod."""
    _interval: ReportInterval = field(default_factory=ReportInterval)

    async def run(self) -> None:
        """Report until cancelled. Trainings do not begin to report at the same time."""
        await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))  # nosec B311 # not for security
        for step in count(1):
            await asyncio.sleep(self._interval.due - time.monotonic())
            started = time.monotonic()
            status = await self.client.report(self.name, _status(step))
            self._interval.accepted(started, time.monotonic(), status.get("reportIntervalSeconds"))

    async def end(self) -> None:
        """Report the model, and end the pod."""
        await self.client.report(self.name, _status(STEPS) | {"model": REPORTED_MODEL})
        self.ended = time.monotonic()
        await self.client.end_pod(self.pod)


def _status(step: int) -> dict[str, Any]:
    snapshot = Snapshot(0.5, 1 + step // STEPS, EPOCHS, step % STEPS, STEPS, 1 / step, 10.0, {"mAP50": 0.5})
    return status_fields(snapshot, datetime.now(UTC))
