"""Which callback may be posted next: a share of the workers for each host, and a circuit breaker for one that does not answer (ADR 28).

No I/O; times are the event loop's. A host is what the caller names, here scheme, name and port of a receiver.
"""

import asyncio
import heapq
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from vott_guard.backoff import Backoff

BACKOFF = Backoff(first=2.0, longest=300.0)
"""Between attempts at a host that does not answer."""
MAX_PER_HOST = 32
MAX_HOSTS = 10_000
"""Hosts to remember; of more, those that were not used for the longest time are forgotten."""

CROWD = 16
"""While more attempts than this go on at hosts that are new or did not answer, the first attempts at further ones are hurried."""

Rank = Literal[0, 1, 2]
"""The order in which hosts are served: those that answered last time, new ones, those that did not answer."""


class Attempt(IntEnum):
    """The place of an attempt at a post, in the order in which those for one host are made."""

    LAST = 0
    """The post is given up afterwards, so the attempt does not wait for the host's circuit."""
    FIRST = 1
    RETRY = 2


@dataclass(eq=False, slots=True)
class _Host:
    name: str
    in_flight: int = 0
    answers: bool = False
    """Whether the last attempt that ended was answered."""
    failures: int = 0
    """Attempts in a row that were not answered."""
    pause: asyncio.TimerHandle | None = None
    """Ends the pause after a failure. During the pause, the circuit is open."""
    waiting: list[tuple[Attempt, int, "asyncio.Future[Permit]"]] = field(default_factory=list)
    """A heap."""


@dataclass(frozen=True, eq=False, slots=True)
class Permit:
    """The right to make one attempt. Call `HostLimits.record` with its result, and `release` when its worker is free."""

    host: _Host
    failures: int
    """Of the host, when the attempt started."""
    unproven: bool
    """Whether the host has not answered last time."""
    hurried: bool
    """Whether the attempt should be short: it is the first at its host, and many other hosts are unproven."""


class HostLimits:
    """Distributes `workers` attempts at a time. Not thread-safe.

    A host that answers gets several at a time, any other host one. Hosts that are new or do not answer never get the last quarter of
    the workers, so that a host that answers need not wait for them.
    """

    def __init__(self, workers: int, backoff: Backoff = BACKOFF) -> None:
        self._workers = workers
        self._most_unproven = workers - workers // 4
        self._most_per_host = max(1, min(MAX_PER_HOST, workers // 4))
        self._backoff = backoff
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._ready: tuple[dict[_Host, None], ...] = ({}, {}, {})
        """By rank: the hosts with a callback that may be posted once a worker is free, each in its turn."""
        self._numbers = itertools.count()
        self._unproven = 0
        self.in_flight = 0
        """Attempts that go on."""
        self.waiting = 0
        """Callbacks that wait for a permit."""

    @property
    def open_circuits(self) -> int:
        """Number of hosts that are not tried now, because they did not answer."""
        return sum(host.pause is not None for host in self._hosts.values())

    async def acquire(self, name: str, attempt: Attempt = Attempt.FIRST) -> Permit:
        """Wait for the permit to post a callback to a host."""
        host = self._find(name)
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        entry = (attempt, next(self._numbers), future)
        heapq.heappush(host.waiting, entry)
        self.waiting += 1
        self._update(host)
        self._distribute()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(future.result())
            else:
                self._remove(host, entry)
            raise

    def record(self, permit: Permit, *, answered: bool) -> None:
        """Record whether the host answered, with whatever status. Of several attempts at a time, only one counts as a failure."""
        host = permit.host
        if answered:
            host.answers, host.failures = True, 0
            self._end_pause(host)
        elif host.failures == permit.failures:
            host.answers, host.failures = False, host.failures + 1
            seconds = self._backoff.seconds(host.failures)
            if host.pause is not None:
                host.pause.cancel()
            host.pause = asyncio.get_running_loop().call_later(seconds, self._end_pause, host)
            self._update(host)

    def release(self, permit: Permit) -> None:
        """Return the permit."""
        self.in_flight -= 1
        self._unproven -= permit.unproven
        permit.host.in_flight -= 1
        self._update(permit.host)
        self._distribute()

    def _find(self, name: str) -> _Host:
        host = self._hosts.setdefault(name, _Host(name))
        self._hosts.move_to_end(name)
        if len(self._hosts) > MAX_HOSTS:
            unused = (one for one in self._hosts.values() if one is not host and not one.in_flight and not one.waiting)
            if (oldest := next(unused, None)) is not None:
                self._end_pause(oldest)
                del self._hosts[oldest.name]
        return host

    def _end_pause(self, host: _Host) -> None:
        if host.pause is not None:
            host.pause.cancel()
            host.pause = None
        self._update(host)
        self._distribute()

    def _remove(self, host: _Host, entry: tuple[Attempt, int, "asyncio.Future[Permit]"]) -> None:
        if entry in host.waiting:
            host.waiting.remove(entry)
            heapq.heapify(host.waiting)
            self.waiting -= 1
            self._update(host)

    # ------------------------------------------------------------------------------------------------------ the choice

    def _rank(self, host: _Host) -> Rank | None:
        """The host's rank; None if it may not be tried now."""
        if not host.waiting:
            return None
        if host.answers:
            return 0 if host.in_flight < self._most_per_host else None
        attempt, _, _ = host.waiting[0]
        if attempt is not Attempt.LAST and (host.in_flight or host.pause is not None):
            return None
        # A retry at a host that was never tried: it did not answer an earlier process.
        return 1 if attempt is Attempt.FIRST and not host.failures else 2

    def _update(self, host: _Host) -> None:
        """Put the host into the list of its rank after a change."""
        rank = self._rank(host)
        for number, ready in enumerate(self._ready):
            if number == rank:
                ready.setdefault(host)
            else:
                ready.pop(host, None)

    def _distribute(self) -> None:
        while (host := self._next()) is not None:
            _, _, future = heapq.heappop(host.waiting)
            self.waiting -= 1
            if not future.cancelled():
                future.set_result(self._grant(host))
            self._update(host)

    def _next(self) -> _Host | None:
        """Take the host whose turn it is; None if no worker is free for any."""
        if self.in_flight >= self._workers:
            return None
        answering, *unproven = self._ready
        lists = [answering, *unproven] if self._unproven < self._most_unproven else [answering]
        for ready in lists:
            if ready:
                host = next(iter(ready))
                del ready[host]
                return host
        return None

    def _grant(self, host: _Host) -> Permit:
        is_unproven = not host.answers
        is_new = is_unproven and not host.failures
        self.in_flight += 1
        self._unproven += is_unproven
        host.in_flight += 1
        return Permit(host, host.failures, is_unproven, is_new and self._unproven > CROWD)
