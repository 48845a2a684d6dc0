"""The receiver of all callbacks: counts outcomes by message, and fails on request."""

import asyncio
from collections import Counter
from types import TracebackType
from typing import Self

from aiohttp import web

HANGING = "hanging"
"""First segment of the path of callbacks that get no response."""


class Receiver:
    """Receives callbacks at `url(number)`. Use it as an async context manager."""

    def __init__(self, port: int) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """By path and state."""
        self.is_failing = False
        """Whether to answer 503."""
        self._port = port
        app = web.Application()
        app.router.add_post("/{kind}/{number}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    def url(self, number: int, *, hangs: bool = False) -> str:
        """The callback of a message."""
        return f"http://127.0.0.1:{self._port}/{HANGING if hangs else 'trainings'}/{number}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        if request.match_info["kind"] == HANGING:
            await asyncio.sleep(3600)
        if self.is_failing:
            return web.Response(status=503)
        body = await request.json()
        if body["state"] != "running":
            self.outcomes[request.path, body["state"]] += 1
        return web.Response(status=204)
