"""A wire between the operator and the queue that a test can cut for one kind of request.

Settling a message is one HTTP DELETE. Holding it back stretches the instant between "TrainingJob created" and "message
settled" as long as a test needs, with the real queue, the real operator and nothing pretended but a slow network.
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

    Shared keys sign the path and not the host, so requests go through as they are.

    Args:
        host: address to listen on, as pods reach it.
        upstream: the queue service's URL.
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
        """Ids of the messages whose settling was held back."""
        with self._lock:
            return set(self._held)

    def receipts(self, message_id: str) -> set[str]:
        """The pop receipts that somebody tried to settle the message with: one for each time it was received."""
        with self._lock:
            return set(self._receipts.get(message_id, ()))

    @contextmanager
    def holding_deletes(self) -> Iterator[None]:
        """Hold back every DELETE of a message in the block; none of those ever reaches the queue."""
        self._pass.clear()
        try:
            yield
        finally:
            self._pass.set()

    def admits(self, method: str, path: str) -> bool:
        """Whether the request goes on; returns only when that is decided."""
        if method != "DELETE" or "/messages/" not in path:
            return True
        message_id, receipt = _settled(path)
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
                    self.close_connection = True  # as a network that lost the request
                    return
                connection = http.client.HTTPConnection(upstream, timeout=TIMEOUT_SECONDS)
                try:
                    connection.request(self.command, self.path, body or None, dict(self.headers))
                    answer = connection.getresponse()
                    self.reply(answer, answer.read())
                finally:
                    connection.close()

            def reply(self, answer: http.client.HTTPResponse, body: bytes) -> None:
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815 - http.server calls them so

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing: a failed test prints what matters."""

        return Handler


def _settled(path: str) -> tuple[str, str]:
    """Message id and pop receipt of the request that deletes a message."""
    parts = urlsplit(path)
    return parts.path.rsplit("/", 1)[-1], parse_qs(parts.query).get("popreceipt", [""])[0]
