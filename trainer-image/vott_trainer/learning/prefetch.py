"""Prefetching: threads decode the items of the next batches, and one thread builds batches ahead of the loop."""

import itertools
import math
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
AHEAD = 2  # batches


def decoded_ahead(
    items: Sequence[T], chunks: Sequence[Sequence[int]], *, workers: int, batch_size: int
) -> Iterator[list[T]]:
    """Yield the items of each chunk; threads decode those of the next chunks meanwhile, enough to keep all threads busy."""
    rest, pending = iter(chunks), deque[list[Future[T]]]()
    max_pending = 1 + max(AHEAD, math.ceil(workers / batch_size))
    pool = ThreadPoolExecutor(workers, "decode")
    try:
        while True:
            for chunk in itertools.islice(rest, max_pending - len(pending)):
                pending.append([pool.submit(items.__getitem__, number) for number in chunk])
            if not pending:
                return
            yield [future.result() for future in pending.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def prefetched(steps: Iterator[T]) -> Iterator[T]:
    """Yield what `steps` yields, from a thread that is up to AHEAD of it; its errors are raised here."""
    ready: queue.Queue[T | BaseException | None] = queue.Queue(AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(steps, ready, stop), name="batches", daemon=True)
    thread.start()
    try:
        while (step := ready.get()) is not None:
            if isinstance(step, BaseException):
                raise step
            yield step
    finally:
        stop.set()
        while thread.is_alive():  # it may wait for space in the queue
            while not ready.empty():
                ready.get_nowait()
            thread.join(0.01)


def _fill(steps: Iterator[T], ready: "queue.Queue[T | BaseException | None]", stop: threading.Event) -> None:
    try:
        for step in steps:
            ready.put(step)
            if stop.is_set():
                return
        ready.put(None)
    except BaseException as error:  # raised in the loop
        ready.put(error)
