"""A TCP proxy that simulates network failures: broken connections, lost responses, stalled requests.

It forwards bytes without knowing the protocol, so it works for TLS and AMQP.
"""

import asyncio
import math
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

CHUNK = 65536
SECONDS = 10

T = TypeVar("T")


class TcpProxy:
    """Forwards connections to a local port within the `with` block. Its methods are thread-safe.

    Args:
        upstream: port to forward to. While it is closed, connections are accepted and closed at once.
        host: address to listen on, and address of the upstream.
    """

    def __init__(self, upstream: int, host: str = "127.0.0.1") -> None:
        self._upstream = upstream
        self._host = host
        self._drops_responses = False
        self._left: float = math.inf
        self._stalled = Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"proxy of port {upstream}", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, host, 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """`host:port` to connect to instead of the upstream's."""
        return f"{self._host}:{self.port}"

    def cut(self) -> int:
        """Break every connection; return how many there were."""
        return self._run(self._cut())

    def drop_responses(self) -> None:
        """Forward requests and discard responses, until `cut`: a stream with a gap is unusable."""
        self._drops_responses = True

    def stall_after(self, size: int) -> None:
        """Forward `size` more bytes of requests, then none."""
        self._left = size

    def wait_stalled(self, seconds: float) -> bool:
        """Whether `stall_after` takes effect within the time."""
        return self._stalled.wait(seconds)

    async def _cut(self) -> int:
        count = len(self._tasks)
        self._drops_responses = False
        for writer in self._open:
            writer.transport.abort()
        return count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            await self._forward(reader, writer)
        except OSError:
            pass  # when one side disconnects, so does the other
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._upstream)
        self._open.add(upstream_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, upstream_writer, responses=False)),
            asyncio.create_task(self._pump(upstream_reader, writer, responses=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            upstream_writer.transport.abort()
            self._open.discard(upstream_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, responses: bool) -> None:
        while data := await reader.read(CHUNK):
            if not responses and not self._may_pass(len(data)):
                await asyncio.Event().wait()  # until the connection ends
            if not (responses and self._drops_responses):
                writer.write(data)
                await writer.drain()

    def _may_pass(self, size: int) -> bool:
        self._left -= size
        if self._left < 0:
            self._stalled.set()
        return self._left >= 0

    async def _stop(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()
