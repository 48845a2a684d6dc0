"""Which callback may be posted next: a share of the workers for each host, and a circuit breaker for one that does not answer (ADR 28).

No I/O; times are the event loop's. A host is what the caller names, here scheme, name and port of a receiver.
"""

import asyncio
import heapq
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf

from vott_guard.backoff import Backoff

BACKOFF = Backoff(first=2.0, longest=120.0)
"""Between attempts at a host that does not answer."""
PROMPT_SECONDS = 3.0
"""An answer within this time is prompt."""
MAX_PER_HOST = 32
"""Attempts at a time at a host that answers promptly, at most; a quarter of it if it answers slowly, and else one."""
MAX_HOSTS = 10_000
"""Hosts to remember; of more, those that were not used for the longest time are forgotten."""
CROWD = 16
"""While more attempts than this go on at hosts that are not prompt, further ones are hurried."""
HURRIED_SECONDS = 2.0
"""Time limit of a hurried first attempt; it doubles with each failure."""
MAX_DOUBLINGS = 10
"""After more failures, attempts have their usual time limit."""


class Standing(IntEnum):
    """What is known of a host, by its last attempt. In this order, hosts are served."""

    PROMPT = 0
    NEW = 1
    SLOW = 2
    SILENT = 3
    """It did not answer."""


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
    standing: Standing = Standing.NEW
    failures: int = 0
    """Attempts in a row that were not answered."""
    pause: asyncio.TimerHandle | None = None
    """Ends the pause after a failure. During the pause, the circuit is open."""
    waiting: list[tuple[Attempt, int, "asyncio.Future[Permit]"]] = field(default_factory=list)
    """A heap."""


@dataclass(frozen=True, eq=False, slots=True)
class Permit:
    """The right to make one attempt. Call `HostLimits.record` with its result, and `release` when its worker is free.

    `standing` and `failures` are the host's when the attempt started at `started`.
    """

    host: _Host
    standing: Standing
    failures: int
    started: float
    seconds: float
    """Time limit of the attempt. It is short while many hosts are new or silent, because nothing tells a healthy new one from them."""


class HostLimits:
    """Distributes `workers` attempts at a time. Not thread-safe.

    Hosts that are not prompt never get the last quarter of the workers, so that those that are need not wait for them.
    """

    def __init__(self, workers: int, backoff: Backoff = BACKOFF) -> None:
        self._workers = workers
        self._most_not_prompt = workers - workers // 4
        self._most_per_host = max(1, min(MAX_PER_HOST, workers // 4))
        self._backoff = backoff
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._ready: dict[Standing, dict[_Host, None]] = {standing: {} for standing in Standing}
        """The hosts with a callback that may be posted once a worker is free, by rank and each in its turn."""
        self._numbers = itertools.count()
        self._not_prompt = 0
        """Attempts that go on at hosts that are not prompt."""
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
        host, loop = permit.host, asyncio.get_running_loop()
        if answered:
            host.standing = Standing.PROMPT if loop.time() - permit.started <= PROMPT_SECONDS else Standing.SLOW
            host.failures = 0
            self._end_pause(host)
        elif host.failures == permit.failures:
            host.standing = Standing.SILENT
            host.failures += 1
            if host.pause is not None:
                host.pause.cancel()
            host.pause = loop.call_later(self._backoff.seconds(host.failures), self._end_pause, host)
            self._update(host)

    def release(self, permit: Permit) -> None:
        """Return the permit."""
        self.in_flight -= 1
        self._not_prompt -= permit.standing is not Standing.PROMPT
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

    def _rank(self, host: _Host) -> Standing | None:
        """The place of a host among those that may be tried now; None if it may not."""
        if not host.waiting:
            return None
        attempt, _, _ = host.waiting[0]
        if attempt is not Attempt.LAST and (host.pause is not None or host.in_flight >= self._most_at(host)):
            return None
        if host.standing is Standing.NEW and attempt is not Attempt.FIRST:
            return Standing.SILENT  # as it was to the first attempt, made by an earlier process
        return host.standing

    def _most_at(self, host: _Host) -> int:
        """How many attempts may go on at a host at a time."""
        if host.standing is Standing.PROMPT:
            return self._most_per_host
        return max(1, self._most_per_host // 4) if host.standing is Standing.SLOW else 1

    def _update(self, host: _Host) -> None:
        """Put the host into the list of its rank after a change."""
        rank = self._rank(host)
        for standing, ready in self._ready.items():
            if standing is rank:
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
        for standing, ready in self._ready.items():
            is_free = standing is Standing.PROMPT or self._not_prompt < self._most_not_prompt
            if ready and is_free and self.in_flight < self._workers:
                host = next(iter(ready))
                del ready[host]
                return host
        return None

    def _grant(self, host: _Host) -> Permit:
        self.in_flight += 1
        self._not_prompt += host.standing is not Standing.PROMPT
        host.in_flight += 1
        is_hurried = host.standing in (Standing.NEW, Standing.SILENT) and self._not_prompt > CROWD
        seconds = HURRIED_SECONDS * 2.0**host.failures if is_hurried and host.failures < MAX_DOUBLINGS else inf
        return Permit(host, host.standing, host.failures, asyncio.get_running_loop().time(), seconds)
