"""The HTTP server for the kubelet's probes: `/healthz` fails if only a restart can help, `/readyz` while the operator can't do its work."""

from collections.abc import Callable
from typing import Self

from aiohttp import web

from vott_messaging.errors import SettingsError
from vott_messaging.settings.address import parse_address
from vott_operator.health.conditions import Health


class ProbeServer:
    """Use it as an async context manager. `defect` returns what only a restart can fix; empty if there is nothing."""

    def __init__(self, address: str, defect: Callable[[], str], health: Health) -> None:
        self._host, self._port = parse_address("--probes", address)
        self._defect = defect
        self._health = health
        application = web.Application()
        application.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        """Listen. Raises SettingsError if the address can't be used."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            text = f"--probes: can't listen on {self._host}:{self._port} ({error.strerror}); choose another"
            raise SettingsError(text) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        defect = self._defect()
        return web.Response(text=f"{defect or 'ok'}\n", status=503 if defect else 200)

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = self._health.problems
        text = "\n".join(condition.message for condition in problems) or "ok"
        return web.Response(text=f"{text}\n", status=200 if self._health.ready else 503)
