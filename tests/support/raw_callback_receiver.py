"""A callback receiver that keeps the raw bytes of each post, because signatures cover them."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self


class RawCallbackReceiver:
    """Receives posts within the `with` block."""

    def __init__(self, host: str) -> None:
        self._lock = Lock()
        self._received: list[tuple[dict[str, str], bytes]] = []
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_port}/callback"

    @property
    def received(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers (lower-case names) and body of each post so far."""
        with self._lock:
            return list(self._received)

    @property
    def posts(self) -> list[dict[str, Any]]:
        """Bodies of the posts, parsed but not verified."""
        return [json.loads(body) for _, body in self.received]

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, headers: dict[str, str], body: bytes) -> None:
        with self._lock:
            self._received.append((headers, body))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._keep({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the tests' output clean."""

        return Handler
