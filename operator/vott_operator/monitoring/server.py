"""The HTTP server of `/metrics`. It also answers while the operator starts or stands by."""

from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from vott_messaging.errors import SettingsError
from vott_operator.metrics import REGISTRY


class MetricsServer:
    """Use it as an async context manager. `url` is where to listen, such as http://0.0.0.0:9090/metrics."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            self._host, self._port = parts.hostname, parts.port
        except ValueError:
            self._host, self._port = None, None
        if parts.scheme != "http" or not self._host or not self._port:
            raise SettingsError(
                f"--metrics is {url!r}; use http://ADDRESS:PORT/metrics, such as http://0.0.0.0:9090/metrics"
            )
        application = web.Application()
        application.add_routes([web.get(parts.path or "/", _answer)])
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> "MetricsServer":
        """Listen. Raises SettingsError if the address can't be used."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"--metrics: can't listen on {self._host}:{self._port} ({error.strerror}); choose another port"
            ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def _answer(_request: web.Request) -> web.Response:
    # In the event loop, because the Store is not thread-safe.
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
