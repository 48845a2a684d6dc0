"""HTTP proxy between the operator and a storage queue that can hold back deletes.

One HTTP DELETE settles a message. Holding it back extends the time between "TrainingJob created" and "message settled" as
long as a test needs, with the real queue and the real operator.
"""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
TIMEOUT_SECONDS = 60


class QueueProxy:
    """Forwards HTTP to a queue service while the `with` block runs.

    Shared keys sign the path but not the host, so requests are forwarded unchanged.

    Args:
        host: Address to listen on, for pods.
        upstream: The queue service's URL.
    """

    def __init__(self, host: str, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = parts.netloc
        self._pass = Event()
        self._pass.set()
        self._lock = Lock()
        self._held: set[str] = set()
        self._receipts: dict[str, set[str]] = {}
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_port}{parts.path}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def held(self) -> set[str]:
        """Ids of the messages whose DELETE was held back."""
        with self._lock:
            return set(self._held)

    def receipts(self, message_id: str) -> set[str]:
        """Pop receipts used in DELETEs of the message: one for each delivery."""
        with self._lock:
            return set(self._receipts.get(message_id, ()))

    @contextmanager
    def holding_deletes(self) -> Iterator[None]:
        """Hold back every DELETE of a message during the block, and drop it afterwards."""
        self._pass.clear()
        try:
            yield
        finally:
            self._pass.set()

    def admits(self, method: str, path: str) -> bool:
        """Whether to forward the request; blocks while deletes are held back."""
        if method != "DELETE" or "/messages/" not in path:
            return True
        message_id, receipt = _parse_delete(path)
        with self._lock:
            self._receipts.setdefault(message_id, set()).add(receipt)
            if self._pass.is_set():
                return True
            self._held.add(message_id)
        self._pass.wait(TIMEOUT_SECONDS)
        return False

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy, upstream = self, self._upstream

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not proxy.admits(self.command, self.path):
                    self.close_connection = True  # like a network that lost the request
                    return
                connection = http.client.HTTPConnection(upstream, timeout=TIMEOUT_SECONDS)
                try:
                    connection.request(self.command, self.path, body or None, dict(self.headers))
                    response = connection.getresponse()
                    self.reply(response, response.read())
                finally:
                    connection.close()

            def reply(self, response: http.client.HTTPResponse, body: bytes) -> None:
                self.send_response_only(response.status, response.reason)
                for name, value in response.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815 - http.server calls them so

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Log nothing."""

        return Handler


def _parse_delete(path: str) -> tuple[str, str]:
    """Message id and pop receipt in the path of a DELETE."""
    parts = urlsplit(path)
    return parts.path.rsplit("/", 1)[-1], parse_qs(parts.query).get("popreceipt", [""])[0]
