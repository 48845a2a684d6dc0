"""The HTTP server of `/metrics`. It also answers while the operator starts or stands by."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from vott_messaging.http_server import HttpServer
from vott_operator.metrics import REGISTRY


class MetricsServer(HttpServer):
    """Use it as an async context manager."""

    def __init__(self, address: str) -> None:
        super().__init__("--metrics", address, {"/metrics": _answer})


async def _answer(_request: web.Request) -> web.Response:
    # In the event loop, because the Store is not thread-safe.
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
