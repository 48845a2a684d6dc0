"""The optional HTTP server: `/healthz` for probes, `/metrics` for Prometheus."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from vott_messaging.http_server import HttpServer
from vott_traind.metrics import Metrics


class DaemonServer(HttpServer):
    """Use it as an async context manager. `problem` returns what is wrong, None if the daemon works."""

    def __init__(self, address: str, metrics: Metrics, problem: Callable[[], str | None]) -> None:
        self._metrics = metrics
        self._problem = problem
        super().__init__("--http", address, {"/healthz": self._healthz, "/metrics": self._metrics_page})

    async def _healthz(self, _request: web.Request) -> web.Response:
        problem = self._problem()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
