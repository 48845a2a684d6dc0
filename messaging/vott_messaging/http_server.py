"""A program's own HTTP server, for probes and Prometheus."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from aiohttp import web

from vott_messaging.errors import SettingsError
from vott_messaging.settings.address import parse_address

Handler = Callable[[web.Request], Awaitable[web.Response]]


class HttpServer:
    """Answers GET requests. Use it as an async context manager."""

    def __init__(
        self, option: str, address: str, handlers: Mapping[str, Handler], *, shutdown_timeout: float = 60.0
    ) -> None:
        """`option` is the command's that has the address; `handlers` are by path. Raises SettingsError."""
        self._option = option
        self._host, self._port = parse_address(option, address)
        application = web.Application()
        application.add_routes([web.get(path, handler) for path, handler in handlers.items()])
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=shutdown_timeout)

    async def __aenter__(self) -> Self:
        """Listen. Raises SettingsError if the address can't be used."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            text = f"{self._option}: can't listen on {self._host}:{self._port} ({error.strerror}); choose another"
            raise SettingsError(text) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
