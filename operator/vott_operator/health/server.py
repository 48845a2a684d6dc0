"""The HTTP server for the kubelet's probes: `/healthz` fails if only a restart can help, `/readyz` while the operator can't do its work."""

from collections.abc import Callable

from aiohttp import web

from vott_messaging.http_server import HttpServer
from vott_operator.health.conditions import Health


class ProbeServer(HttpServer):
    """Use it as an async context manager. `defect` returns what only a restart can fix; empty if there is nothing."""

    def __init__(self, address: str, defect: Callable[[], str], health: Health) -> None:
        self._defect = defect
        self._health = health
        handlers = {"/healthz": self._healthz, "/readyz": self._readyz}
        super().__init__("--probes", address, handlers, shutdown_timeout=1.0)

    async def _healthz(self, _request: web.Request) -> web.Response:
        defect = self._defect()
        return web.Response(text=f"{defect or 'ok'}\n", status=503 if defect else 200)

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = self._health.problems
        text = "\n".join(condition.message for condition in problems) or "ok"
        return web.Response(text=f"{text}\n", status=200 if self._health.ready else 503)
