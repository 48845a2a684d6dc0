"""The faults: a plan that is a pure function of the seed, and an injector that carries it out."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

from localcluster.azurite import Azurite
from localcluster.control_plane import API_SERVER, ETCD, ControlPlane
from tests.chaos.fault_log import FaultLog
from tests.chaos.leader_lease import LeaderLease
from tests.chaos.operators import Operators
from tests.chaos.senders import Sender
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy

LEASE_SECONDS = 5
LEADS_WITHIN_SECONDS = 30
"""The documented time for a takeover. The plan continues after it either way; the final checks decide."""
AZURITE_FLUSH_SECONDS = 5.0
"""Azurite writes acknowledged messages to disk within this time."""

KILLS = 30
PER_30_KILLS = {
    "kill the leader": 9,
    "kill the standby": 17,
    "kill both operators": 2,
    "stop the leader for longer than its lease": 1,
    "kill the API server": 2,
    "kill etcd": 1,
    "kill Azurite": 1,
    "restart Azurite": 1,
    "kill the broker": 2,
    "break the broker's connections": 1,
    "cut the API server's connections": 2,
    "cut Azurite's connections": 1,
    "cut the broker's connections": 1,
    "lose the API server's responses": 2,
    "lose Azurite's responses": 1,
    "lose the broker's responses": 1,
}


@dataclass(frozen=True)
class Fault:
    """A planned fault."""

    kind: str
    pause: float
    """Seconds to wait after a leader works again, from 0 to 1."""
    strength: float
    """Relative duration of a lasting fault, from 0 to 1."""


def plan(seed: int, kills: int) -> list[Fault]:
    """The faults in order, with `kills` kills of operators (a multiple of 30); the same for the same seed."""
    rng = random.Random(seed)
    kinds = [kind for kind, count in PER_30_KILLS.items() for _ in range(count * kills // KILLS)]
    rng.shuffle(kinds)
    return [Fault(kind, rng.random(), rng.random()) for kind in kinds]


@dataclass
class FaultInjector:
    """Injects faults. Lasting ones continue beside the next ones; `end` waits for them."""

    control_plane: ControlPlane
    azurite: Azurite
    broker: ServiceBusBroker
    operators: Operators
    senders: dict[str, Sender]
    """By "storage" and "serviceBus"."""
    proxies: dict[str, TcpProxy]
    """By "API server", "Azurite" and "broker"."""
    lease: LeaderLease
    fault_log: FaultLog

    def __post_init__(self) -> None:
        self._threads: list[Thread] = []
        self._errors: list[Exception] = []
        self._busy: dict[str, Thread] = {}
        self._previous_leader = ""
        """The leader that was killed or stopped last."""

    def inject(self, fault: Fault) -> None:
        """Cause the fault, then wait until an operator leads and has worked for `fault.pause`."""
        self.fault_log.note(fault.kind)
        self._actions()[fault.kind](fault.strength)
        if not self.lease.wait_for_other_holder(self._previous_leader, LEADS_WITHIN_SECONDS):
            self.fault_log.note(f"  no operator took over within {LEADS_WITHIN_SECONDS} s")
        time.sleep(fault.pause)

    def end(self) -> None:
        """Wait until all faults have ended. Raises the injector's own errors."""
        for thread in self._threads:
            thread.join()
        for proxy in self.proxies.values():
            proxy.cut()
        if self._errors:
            raise self._errors[0]
        self.fault_log.note("all faults have ended")

    def _actions(self) -> dict[str, Callable[[float], None]]:
        return {
            "kill the leader": lambda _: self._kill(self._leader()),
            "kill the standby": lambda _: self._kill(self._standby()),
            "kill both operators": lambda _: self._kill(*Operators.NAMES),
            "stop the leader for longer than its lease": self._stop_leader,
            "kill the API server": lambda strength: self._in_background(
                "API server", self._kill_program, API_SERVER, strength
            ),
            "kill etcd": lambda strength: self._in_background("etcd", self._kill_program, ETCD, strength),
            "kill Azurite": lambda strength: self._in_background("Azurite", self._kill_azurite, strength),
            "restart Azurite": lambda _: self._in_background("Azurite", self._restart_azurite),
            "kill the broker": lambda strength: self._in_background("broker", self._kill_broker, strength),
            "break the broker's connections": lambda _: self._in_background("broker", self._break_broker),
            "cut the API server's connections": lambda _: self._cut_connections("API server"),
            "cut Azurite's connections": lambda _: self._cut_connections("Azurite"),
            "cut the broker's connections": lambda _: self._cut_connections("broker"),
            "lose the API server's responses": lambda strength: self._in_background(
                "API responses", self._lose_responses, "API server", strength
            ),
            "lose Azurite's responses": lambda strength: self._in_background(
                "Azurite responses", self._lose_responses, "Azurite", strength
            ),
            "lose the broker's responses": lambda strength: self._in_background(
                "broker responses", self._lose_responses, "broker", strength
            ),
        }

    # ------------------------------------------------------------------------------------------------- the operators

    def _leader(self) -> str:
        """Name of the leader; of the first operator if there is none, so that a fault always hits one."""
        return self.lease.holder().partition("_")[0] or Operators.NAMES[0]

    def _standby(self) -> str:
        return Operators.NAMES[1 - Operators.NAMES.index(self._leader())]

    def _kill(self, *names: str) -> None:
        holder = self.lease.holder()
        for name in names:
            self.operators.kill(name)
            self.fault_log.note(f"  {name} killed")
            if holder.startswith(f"{name}_"):
                self._previous_leader = holder

    def _stop_leader(self, strength: float) -> None:
        name = self._leader()
        self._previous_leader = self.lease.holder()
        self._in_background(name, self._stop_process, name, LEASE_SECONDS + 2 + 2 * strength)

    def _stop_process(self, name: str, seconds: float) -> None:
        self.operators.signal(name, signal.SIGSTOP)
        time.sleep(seconds)
        self.operators.signal(name, signal.SIGCONT)
        self.fault_log.note(f"  {name} continues after {seconds:.1f} s")

    # -------------------------------------------------------------------------------------------------- the services

    def _kill_program(self, program: str, strength: float) -> None:
        self.control_plane.kill(program)
        time.sleep(0.3 + 2 * strength)
        self.control_plane.restart(program)
        self.fault_log.note(f"  {program} is back")

    def _kill_azurite(self, strength: float) -> None:
        with self.senders["storage"].paused():
            time.sleep(AZURITE_FLUSH_SECONDS + 0.5)
            self.azurite.kill()
            self.fault_log.note("  Azurite killed")
            time.sleep(2 * strength)
            self.azurite.restart()
        self.fault_log.note("  Azurite is back")

    def _restart_azurite(self) -> None:
        with self.senders["storage"].paused():
            self.azurite.restart()
        self.fault_log.note("  Azurite is back")

    def _kill_broker(self, strength: float) -> None:
        with self.senders["serviceBus"].paused():
            self.broker.kill()
            time.sleep(2 * strength)
            self.broker.restart()
            self.fault_log.note("  the broker is back")

    def _break_broker(self) -> None:
        with self.senders["serviceBus"].paused():
            self.broker.cut()

    # --------------------------------------------------------------------------------------------------- the network

    def _cut_connections(self, name: str) -> None:
        self.fault_log.note(f"  {self.proxies[name].cut()} connections broken")

    def _lose_responses(self, name: str, strength: float) -> None:
        self.proxies[name].drop_responses()
        time.sleep(0.5 + 2 * strength)
        self._cut_connections(name)

    def _in_background(self, target: str, action: Callable[..., None], *args: object) -> None:
        """Run an action beside the next faults. Actions on the same target run one after the other."""
        previous = self._busy.get(target)

        def run() -> None:
            try:
                if previous:
                    previous.join()
                action(*args)
            except Exception as error:  # raised by `end` in the test's thread
                self._errors.append(error)

        thread = Thread(target=run, name=target, daemon=True)
        self._busy[target] = thread
        self._threads.append(thread)
        thread.start()
