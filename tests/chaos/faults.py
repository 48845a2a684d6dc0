"""What goes wrong, in which order: a plan that is a pure function of the seed, and the hand that carries it out."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread

from demo.kubectl import Kubectl, KubectlError
from localcluster.azurite import Azurite
from localcluster.control_plane import API_SERVER, ETCD, ControlPlane
from tests.chaos.operators import Operators
from tests.chaos.senders import Sender
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy

LEASE_SECONDS = 5
LEADS_WITHIN_SECONDS = 30
"""The takeover that is promised. The plan goes on after it in any case; the end shows whether all was well."""
AZURITE_WRITES_EVERY = 5.0
"""Seconds after which what Azurite has acknowledged lies on its disk."""

KINDS = {
    # SIGKILL of an operator counts; how often of 100 kills
    "kill the leader": 40,
    "kill the standby": 30,
    "kill both operators": 15,
    # and the rest, as often per 100 kills
    "stop the leader for longer than its lease": 6,
    "kill the API server": 8,
    "kill etcd": 8,
    "kill Azurite": 8,
    "restart Azurite": 4,
    "kill the broker": 8,
    "break the broker's connections": 8,
    "cut the API server off": 10,
    "cut Azurite off": 10,
    "cut the broker off": 10,
    "lose the API server's answers": 8,
    "lose Azurite's answers": 8,
    "lose the broker's answers": 8,
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    kind: str
    pause: float
    """0 to 1: how long to wait after the leader is at work again."""
    strength: float
    """0 to 1: how long it lasts, of what lasts."""


def plan(seed: int, kills: int) -> list[Fault]:
    """The faults, with so many kills of operators or a few more: the same for the same seed."""
    chance = random.Random(seed)
    kinds = [kind for kind, share in KINDS.items() for _ in range(max(1, round(share * kills / 100)))]
    chance.shuffle(kinds)
    return [Fault(kind, chance.random(), chance.random()) for kind in kinds]


@dataclass
class Faults:
    """Carries faults out. What lasts goes on beside the next ones; `end` waits for it."""

    control_plane: ControlPlane
    azurite: Azurite
    broker: ServiceBusBroker
    operators: Operators
    senders: dict[str, Sender]
    """By "storage" and "serviceBus"."""
    proxies: dict[str, TcpProxy]
    """By "API server", "Azurite" and "broker"."""
    kubectl: Kubectl
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._lasting: list[Thread] = []
        self._errors: list[Exception] = []
        self._busy: dict[str, Thread] = {}
        self._leader_before = ""

    def note(self, text: str) -> None:
        """Write down what happens."""
        self.log.append(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def strike(self, fault: Fault) -> None:
        """Let it happen, then wait until an operator leads and has worked for a moment."""
        self.note(fault.kind)
        self._actions()[fault.kind](fault.strength)
        self._wait_for_leader()
        time.sleep(1.5 * fault.pause)

    def end(self) -> None:
        """Wait until nothing is wrong any more. Raises what went wrong in doing wrong."""
        for thread in self._lasting:
            thread.join()
        for proxy in self.proxies.values():
            proxy.cut()
        if self._errors:
            raise self._errors[0]
        self.note("all faults have ended")

    def _actions(self) -> dict[str, Callable[[float], None]]:
        return {
            "kill the leader": lambda _: self._kill_leader(),
            "kill the standby": lambda _: self._kill(self._standby()),
            "kill both operators": lambda _: [self._kill(name) for name in Operators.NAMES] and None,
            "stop the leader for longer than its lease": self._stop_leader,
            "kill the API server": lambda strength: self._lasts("API server", self._kill_part, API_SERVER, strength),
            "kill etcd": lambda strength: self._lasts("etcd", self._kill_part, ETCD, strength),
            "kill Azurite": lambda strength: self._lasts("Azurite", self._kill_azurite, strength),
            "restart Azurite": lambda _: self._lasts("Azurite", self._restart_azurite),
            "kill the broker": lambda strength: self._lasts("broker", self._kill_broker, strength),
            "break the broker's connections": lambda _: self._lasts("broker", self._break_broker),
            "cut the API server off": lambda _: self._cut("API server"),
            "cut Azurite off": lambda _: self._cut("Azurite"),
            "cut the broker off": lambda _: self._cut("broker"),
            "lose the API server's answers": lambda strength: self._lasts(
                "API answers", self._lose, "API server", strength
            ),
            "lose Azurite's answers": lambda strength: self._lasts("Azurite answers", self._lose, "Azurite", strength),
            "lose the broker's answers": lambda strength: self._lasts("broker answers", self._lose, "broker", strength),
        }

    # ------------------------------------------------------------------------------------------------- the operators

    def _leader(self) -> str:
        """Name of the operator that holds the Lease, as far as the API server can be asked."""
        try:
            holder = self.kubectl.get("lease", "vott-train")["spec"].get("holderIdentity") or ""
        except KubectlError:
            return ""
        return str(holder)

    def _leader_name(self) -> str:
        return self._leader().partition("_")[0] or Operators.NAMES[0]

    def _standby(self) -> str:
        return Operators.NAMES[1 - Operators.NAMES.index(self._leader_name())]

    def _kill_leader(self) -> None:
        self._kill(self._leader_name())

    def _kill(self, name: str) -> None:
        if self._leader_name() == name:
            self._leader_before = self._leader()
        self.operators.kill(name)
        self.note(f"  {name} killed")

    def _stop_leader(self, strength: float) -> None:
        name = self._leader_name()
        self._leader_before = self._leader()
        self._lasts(name, self._hang, name, LEASE_SECONDS + 2 + 2 * strength)

    def _hang(self, name: str, seconds: float) -> None:
        self.operators.signal(name, signal.SIGSTOP)
        time.sleep(seconds)
        self.operators.signal(name, signal.SIGCONT)
        self.note(f"  {name} goes on after {seconds:.1f} s")

    def _wait_for_leader(self) -> None:
        deadline = time.monotonic() + LEADS_WITHIN_SECONDS
        while time.monotonic() < deadline:
            holder = self._leader()
            if holder and holder != self._leader_before:
                return
            time.sleep(0.2)
        self.note(f"  nobody took over within {LEADS_WITHIN_SECONDS} s")

    # -------------------------------------------------------------------------------------------------- the services

    def _kill_part(self, program: str, strength: float) -> None:
        self.control_plane.kill(program)
        time.sleep(0.3 + 2 * strength)
        self.control_plane.restart(program)
        self.note(f"  {program} is back")

    def _kill_azurite(self, strength: float) -> None:
        with self.senders["storage"].held():
            time.sleep(AZURITE_WRITES_EVERY + 0.5)
            self.azurite.kill()
            self.note("  Azurite killed")
            time.sleep(2 * strength)
            self._restart_azurite()

    def _restart_azurite(self) -> None:
        with self.senders["storage"].held():
            self.azurite.restart()
            self.note("  Azurite is back")

    def _kill_broker(self, strength: float) -> None:
        with self.senders["serviceBus"].held():
            self.broker.kill()
            time.sleep(2 * strength)
            self.broker.restart()
            self.note("  the broker is back")

    def _break_broker(self) -> None:
        with self.senders["serviceBus"].held():
            self.broker.cut()

    # --------------------------------------------------------------------------------------------------- the network

    def _cut(self, name: str) -> None:
        self.note(f"  {self.proxies[name].cut()} connections broken")

    def _lose(self, name: str, strength: float) -> None:
        self.proxies[name].swallow()
        time.sleep(0.5 + 2 * strength)
        self._cut(name)

    def _lasts(self, what: str, action: Callable[..., None], *args: object) -> None:
        """Do it beside the next faults. The same thing is not broken twice at once: the second time waits."""
        before = self._busy.get(what)

        def run() -> None:
            try:
                if before:
                    before.join()
                action(*args)
            except Exception as error:  # told by `end`, in the test's own thread
                self._errors.append(error)

        thread = Thread(target=run, name=what, daemon=True)
        self._busy[what] = thread
        self._lasting.append(thread)
        thread.start()
