"""HTTP server on this host that receives and records callbacks."""

import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

MAX_BODY_BYTES = 64 * 1024


class CallbackReceiver:
    """Receives callbacks while the `with` block runs.

    The path is random, so that requests of other programs are not recorded.

    Args:
        host: Address of this host for pods.

    Raises:
        OSError: This host doesn't have the address.
    """

    def __init__(self, host: str) -> None:
        self._path = f"/callback/{secrets.token_urlsafe(12)}"
        self._lock = Lock()
        self._posts: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_port}{self._path}"

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The callbacks received so far, in order."""
        with self._lock:
            return list(self._posts)

    @property
    def last_state(self) -> str | None:
        """`state` of the latest callback, or None."""
        posts = self.posts
        return posts[-1].get("state") if posts else None

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, path: str, body: bytes) -> int:
        """Record one callback; return the HTTP status of the response."""
        if path != self._path:
            return 404
        try:
            post = json.loads(body)
        except ValueError:
            return 400
        if not isinstance(post, dict):
            return 400
        with self._lock:
            self._posts.append(post)
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES)
                self.send_response(receiver.receive(self.path, self.rfile.read(length)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Log nothing: it would disturb the demo's output."""

        return Handler
