"""Hostile servers, over real sockets."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def server(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve each request with `behave(connection, head)`; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_one, args=(connection, behave, tls), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _one(plain: socket.socket, behave: Behaviour, tls: ssl.SSLContext | None) -> None:
    with plain, contextlib.suppress(OSError):
        connection = tls.wrap_socket(plain, server_side=True) if tls else plain
        with connection:
            while head := _head(connection):
                behave(connection, head)


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            return b""
        head += more
    return head


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """One HTTP response."""
    lines = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return (
        f"HTTP/1.1 {status}\r\n".encode()
        + b"".join(f"{n}: {v}\r\n".encode() for n, v in lines.items())
        + b"\r\n"
        + body
    )


def responses(*all_responses: bytes) -> Behaviour:
    """Send these responses in turn, and the last one to all further requests."""
    left = list(all_responses)

    def behave(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return behave
