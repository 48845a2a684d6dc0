"""A server on the loopback that answers whatever bytes a test likes: lies, floods, or a byte now and then."""

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
    """Sends what `answer` yields to every request, until the client goes away; `heads` are the requests' heads."""

    def __init__(self, answer: Answer) -> None:
        self.heads: list[bytes] = []
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self, answer))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Scheme, host and port."""
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
                pass  # the client has had enough

        def _head(self) -> bytes:
            lines = list(iter(self.rfile.readline, b"\r\n"))
            lengths = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")]
            self.rfile.read(sum(lengths))
            return b"".join(lines)

    return Handler


def head(*headers: str, status: str = "200 OK") -> bytes:
    """The first bytes of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def silence() -> Iterator[bytes]:
    """Never a byte."""
    return itertools.repeat(b"")


def dribbled_body() -> Iterator[bytes]:
    """A byte now and then, for ever."""
    return itertools.chain([head("Content-Length: 1000000")], itertools.repeat(b"x"))


def dribbled_headers() -> Iterator[bytes]:
    """Headers that never end, a byte now and then."""
    return itertools.chain([b"HTTP/1.1 200 OK\r\nX-A: "], itertools.repeat(b"x"))


def endless_continues() -> Iterator[bytes]:
    """`100 Continue`, for ever."""
    return itertools.repeat(head(status="100 Continue"))


def endless_headers() -> Iterator[bytes]:
    """Headers that never end, as fast as possible."""
    return itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X-A: x\r\n"))


def endless_header() -> Iterator[bytes]:
    """One header that never ends."""
    return itertools.chain([b"HTTP/1.1 200 OK\r\nX-A: "], itertools.repeat(MEBIBYTE.replace(b"\0", b"x")))


def endless_body() -> Iterator[bytes]:
    """A body without a length that never ends."""
    return itertools.chain([head("Connection: close")], itertools.repeat(MEBIBYTE))


def endless_chunks() -> Iterator[bytes]:
    """The same in chunks."""
    chunk = b"%x\r\n%s\r\n" % (len(MEBIBYTE), MEBIBYTE)
    return itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(chunk))


def endless_chunk_size() -> Iterator[bytes]:
    """The length of a chunk, in digits that never end."""
    return itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(b"1" * 4096))


def bomb(*headers: str, status: str = "200 OK", container: int = 31, times: int = 1) -> Answer:
    """Some kilobytes that become 128 MiB; `container` as zlib's `wbits`: 31 gzip, 15 zlib; packed once or twice."""
    return lambda: [head(*headers, "Connection: close", status=status) + _packed(container, times)]


@cache
def _packed(container: int, times: int) -> bytes:
    packer = zlib.compressobj(wbits=container)
    content = b"".join([*(packer.compress(MEBIBYTE) for _ in range(128)), packer.flush()])
    return content if times == 1 else zlib.compress(content, wbits=container)


def whole(*headers: str, body: bytes = b"", status: str = "200 OK") -> Answer:
    """Exactly these bytes."""
    return lambda: [head(*headers, status=status) + body]
