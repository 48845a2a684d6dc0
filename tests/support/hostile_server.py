"""A loopback server that sends arbitrary bytes: malformed, endless or very slow responses."""

import itertools
import socketserver
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Self

PAUSE_SECONDS = 0.05
MEBIBYTE = bytes(1 << 20)

Answer = Callable[[], Iterable[bytes]]


class HostileServer:
    """Sends what `answer` yields to every request until the client disconnects; `heads` are the requests' header blocks."""

    def __init__(self, answer: Answer) -> None:
        self.heads: list[bytes] = []
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self, answer))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(server: HostileServer, answer: Answer) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            server.heads.append(self._head())
            try:
                for part in answer():
                    self.wfile.write(part)
                    if len(part) < 2:
                        time.sleep(PAUSE_SECONDS)
            except OSError:
                pass  # the client disconnected

        def _head(self) -> bytes:
            lines = list(iter(self.rfile.readline, b"\r\n"))
            lengths = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")]
            self.rfile.read(sum(lengths))
            return b"".join(lines)

    return Handler


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Status line and headers of a response."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def silence() -> Iterator[bytes]:
    """Never send a byte."""
    return itertools.repeat(b"")


def dribbled_body() -> Iterator[bytes]:
    """A body of single bytes with pauses, without end."""
    return itertools.chain([head("Content-Length: 1000000")], itertools.repeat(b"x"))


def dribbled_headers() -> Iterator[bytes]:
    """Headers of single bytes with pauses, without end."""
    return itertools.chain([b"HTTP/1.1 200 OK\r\nX-A: "], itertools.repeat(b"x"))


def endless_continues() -> Iterator[bytes]:
    """Endless `100 Continue` responses."""
    return itertools.repeat(head(status="100 Continue"))


def endless_headers() -> Iterator[bytes]:
    """Endless headers, as fast as possible."""
    return itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X-A: x\r\n"))


def endless_header() -> Iterator[bytes]:
    """One endless header."""
    return itertools.chain([b"HTTP/1.1 200 OK\r\nX-A: "], itertools.repeat(MEBIBYTE.replace(b"\0", b"x")))


def endless_body() -> Iterator[bytes]:
    """An endless body without Content-Length."""
    return itertools.chain([head("Connection: close")], itertools.repeat(MEBIBYTE))


def endless_chunks() -> Iterator[bytes]:
    """An endless chunked body."""
    chunk = b"%x\r\n%s\r\n" % (len(MEBIBYTE), MEBIBYTE)
    return itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(chunk))


def endless_chunk_size() -> Iterator[bytes]:
    """A chunk size with endless digits."""
    return itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(b"1" * 4096))


def bomb(*headers: str, status: str = "200 OK", container: int = 31, times: int = 1) -> Answer:
    """A decompression bomb: kilobytes that expand to 128 MiB. `container` is zlib's `wbits` (31 gzip, 15 zlib); compressed once or twice."""
    return lambda: [head(*headers, "Connection: close", status=status) + _packed(container, times)]


@cache
def _packed(container: int, times: int) -> bytes:
    packer = zlib.compressobj(wbits=container)
    content = b"".join([*(packer.compress(MEBIBYTE) for _ in range(128)), packer.flush()])
    return content if times == 1 else zlib.compress(content, wbits=container)


def whole(*headers: str, body: bytes = b"", status: str = "200 OK") -> Answer:
    """A complete response with this body."""
    return lambda: [head(*headers, status=status) + body]
