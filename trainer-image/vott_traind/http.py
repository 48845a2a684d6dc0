"""The optional HTTP server: `/healthz` for probes, `/metrics` for Prometheus."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from vott_messaging.errors import SettingsError
from vott_messaging.settings.address import parse_address
from vott_traind.metrics import Metrics


class HttpServer:
    """Use it as an async context manager. `problem` returns what is wrong, None if the daemon works."""

    def __init__(self, address: str, metrics: Metrics, problem: Callable[[], str | None]) -> None:
        self._host, self._port = parse_address("--http", address)
        self._metrics = metrics
        self._problem = problem
        application = web.Application()
        application.add_routes([web.get("/healthz", self._healthz), web.get("/metrics", self._metrics_page)])
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> "HttpServer":
        """Listen. Raises SettingsError if the address can't be used."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"--http: can't listen on {self._host}:{self._port} ({error.strerror}); choose another"
            ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        problem = self._problem()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
