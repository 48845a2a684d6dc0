"""A TCP proxy whose network can fail: connections that break, answers that never come.

It forwards bytes and knows no protocol, so that TLS and AMQP pass through it as they are.
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
    """Forwards connections to a port of this host while the `with` block runs. Its methods may be called from any thread.

    Args:
        upstream: the port to forward to. While nobody listens there, connections are taken and broken at once.
        host: address to listen on, and that of the upstream.
    """

    def __init__(self, upstream: int, host: str = "127.0.0.1") -> None:
        self._upstream = upstream
        self._host = host
        self._swallowing = False
        self._left: float = math.inf
        self._stands = Event()
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
        """Break every connection now; returns how many there were."""
        return self._run(self._cut())

    def swallow(self) -> None:
        """From now on requests go through, and answers are lost. Ends with `cut`: what was lost can't be made good."""
        self._swallowing = True

    def stop_after(self, size: int) -> None:
        """From now on so many bytes of requests go through; then none does."""
        self._left = size

    def wait_standing(self, seconds: float) -> bool:
        """Whether nothing goes through any more, by `stop_after`, within the time."""
        return self._stands.wait(seconds)

    async def _cut(self) -> int:
        count = len(self._tasks)
        self._swallowing = False
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
            pass  # one of the two sides is gone, and with it the other
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._upstream)
        self._open.add(upstream_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, upstream_writer, answers=False)),
            asyncio.create_task(self._pump(upstream_reader, writer, answers=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            upstream_writer.transport.abort()
            self._open.discard(upstream_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while data := await reader.read(CHUNK):
            if not answers and not self._may_pass(len(data)):
                await asyncio.Event().wait()  # until the connection ends
            if not (answers and self._swallowing):
                writer.write(data)
                await writer.drain()

    def _may_pass(self, size: int) -> bool:
        self._left -= size
        if self._left < 0:
            self._stands.set()
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
