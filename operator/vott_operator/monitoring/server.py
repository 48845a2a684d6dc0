"""The HTTP server of `/metrics`. It also answers while the operator starts or stands by."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from vott_messaging.errors import SettingsError
from vott_messaging.settings.address import parse_address
from vott_operator.metrics import REGISTRY


class MetricsServer:
    """Use it as an async context manager."""

    def __init__(self, address: str) -> None:
        self._host, self._port = parse_address("--metrics", address)
        application = web.Application()
        application.add_routes([web.get("/metrics", _answer)])
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> "MetricsServer":
        """Listen. Raises SettingsError if the address can't be used."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"--metrics: can't listen on {self._host}:{self._port} ({error.strerror}); choose another"
            ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def _answer(_request: web.Request) -> web.Response:
    # In the event loop, because the Store is not thread-safe.
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
