"""Faults of the services, one after the other in random order, while the operators live on."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import click

from benchmarks.soak.receiver import Receiver
from localcluster.azurite import Azurite
from localcluster.control_plane import API_SERVER, ETCD, ControlPlane
from tests.chaos.senders import Sender
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy

OUTAGE_SECONDS = 5.0
"""Shorter than the time in which a leader must renew its Lease, or it would exit and start with fresh memory."""


@dataclass
class Faults:
    """Causes faults until cancelled."""

    control_plane: ControlPlane
    azurite: Azurite
    broker: ServiceBusBroker
    senders: dict[str, Sender]
    proxies: dict[str, TcpProxy]
    receiver: Receiver
    seed: int
    count: int = 0

    async def run(self, pause_seconds: float) -> None:
        """A fault after each pause."""
        rng = random.Random(self.seed)  # nosec B311 # repeatable, not secret
        actions: dict[str, Callable[[], Awaitable[None]]] = {
            "the API server is killed": self._kill_api_server,
            "etcd hangs": self._hang_etcd,
            "the broker is restarted": self._restart_broker,
            "Azurite is restarted": self._restart_azurite,
            "receivers answer 503": self._fail_callbacks,
            **{f"connections to the {name} are cut": self._cut(name) for name in self.proxies},
            **{f"responses of the {name} are lost": self._lose_responses(name) for name in self.proxies},
        }
        while True:
            for kind in rng.sample(sorted(actions), len(actions)):
                await asyncio.sleep(pause_seconds)
                click.echo(f"  fault: {kind}")
                await actions[kind]()
                self.count += 1

    async def _kill_api_server(self) -> None:
        self.control_plane.kill(API_SERVER)
        await asyncio.to_thread(self.control_plane.restart, API_SERVER)

    async def _hang_etcd(self) -> None:
        self.control_plane.kill(ETCD, signal.SIGSTOP)
        try:
            await asyncio.sleep(OUTAGE_SECONDS)
        finally:
            self.control_plane.kill(ETCD, signal.SIGCONT)

    async def _restart_broker(self) -> None:
        with self.senders["serviceBus"].paused():
            await asyncio.to_thread(self.broker.kill)
            await asyncio.to_thread(self.broker.restart)

    async def _restart_azurite(self) -> None:
        with self.senders["storage"].paused():
            await asyncio.to_thread(self.azurite.restart)

    async def _fail_callbacks(self) -> None:
        self.receiver.is_failing = True
        try:
            await asyncio.sleep(OUTAGE_SECONDS)
        finally:
            self.receiver.is_failing = False

    def _cut(self, name: str) -> Callable[[], Awaitable[None]]:
        async def cut() -> None:
            await asyncio.to_thread(self.proxies[name].cut)

        return cut

    def _lose_responses(self, name: str) -> Callable[[], Awaitable[None]]:
        async def lose() -> None:
            self.proxies[name].drop_responses()
            await asyncio.sleep(OUTAGE_SECONDS / 2)
            await asyncio.to_thread(self.proxies[name].cut)

        return lose
