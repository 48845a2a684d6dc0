"""What goes wrong, in which order: a plan that is a pure function of the seed, and the hand that carries it out."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

from localcluster.azurite import Azurite
from localcluster.control_plane import API_SERVER, ETCD, ControlPlane
from tests.chaos.diary import Diary
from tests.chaos.election import Election
from tests.chaos.operators import Operators
from tests.chaos.senders import Sender
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy

LEASE_SECONDS = 5
LEADS_WITHIN_SECONDS = 30
"""The takeover that is promised. The plan goes on after it in any case; the end shows whether all was well."""
AZURITE_WRITES_EVERY = 5.0
"""Seconds after which what Azurite has acknowledged lies on its disk."""

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
    "cut the API server off": 2,
    "cut Azurite off": 1,
    "cut the broker off": 1,
    "lose the API server's answers": 2,
    "lose Azurite's answers": 1,
    "lose the broker's answers": 1,
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
    """The faults, with so many kills of operators (a multiple of 30): the same for the same seed."""
    chance = random.Random(seed)
    kinds = [kind for kind, count in PER_30_KILLS.items() for _ in range(count * kills // KILLS)]
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
    election: Election
    diary: Diary

    def __post_init__(self) -> None:
        self._lasting: list[Thread] = []
        self._errors: list[Exception] = []
        self._busy: dict[str, Thread] = {}
        self._gone = ""
        """The leader that was killed or stopped last."""

    def strike(self, fault: Fault) -> None:
        """Let it happen, then wait until an operator leads and has worked for a moment."""
        self.diary.note(fault.kind)
        self._actions()[fault.kind](fault.strength)
        if not self.election.wait_for_other(self._gone, LEADS_WITHIN_SECONDS):
            self.diary.note(f"  nobody took over within {LEADS_WITHIN_SECONDS} s")
        time.sleep(fault.pause)

    def end(self) -> None:
        """Wait until nothing is wrong any more. Raises what went wrong in doing wrong."""
        for thread in self._lasting:
            thread.join()
        for proxy in self.proxies.values():
            proxy.cut()
        if self._errors:
            raise self._errors[0]
        self.diary.note("all faults have ended")

    def _actions(self) -> dict[str, Callable[[float], None]]:
        return {
            "kill the leader": lambda _: self._kill(self._leader()),
            "kill the standby": lambda _: self._kill(self._standby()),
            "kill both operators": lambda _: self._kill(*Operators.NAMES),
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
        """Name of the one that leads, or else of the first: somebody is hit in any case."""
        return self.election.holder().partition("_")[0] or Operators.NAMES[0]

    def _standby(self) -> str:
        return Operators.NAMES[1 - Operators.NAMES.index(self._leader())]

    def _kill(self, *names: str) -> None:
        holder = self.election.holder()
        for name in names:
            self.operators.kill(name)
            self.diary.note(f"  {name} killed")
            if holder.startswith(f"{name}_"):
                self._gone = holder

    def _stop_leader(self, strength: float) -> None:
        name = self._leader()
        self._gone = self.election.holder()
        self._lasts(name, self._hang, name, LEASE_SECONDS + 2 + 2 * strength)

    def _hang(self, name: str, seconds: float) -> None:
        self.operators.signal(name, signal.SIGSTOP)
        time.sleep(seconds)
        self.operators.signal(name, signal.SIGCONT)
        self.diary.note(f"  {name} goes on after {seconds:.1f} s")

    # -------------------------------------------------------------------------------------------------- the services

    def _kill_part(self, program: str, strength: float) -> None:
        self.control_plane.kill(program)
        time.sleep(0.3 + 2 * strength)
        self.control_plane.restart(program)
        self.diary.note(f"  {program} is back")

    def _kill_azurite(self, strength: float) -> None:
        with self.senders["storage"].held():
            time.sleep(AZURITE_WRITES_EVERY + 0.5)
            self.azurite.kill()
            self.diary.note("  Azurite killed")
            time.sleep(2 * strength)
            self.azurite.restart()
        self.diary.note("  Azurite is back")

    def _restart_azurite(self) -> None:
        with self.senders["storage"].held():
            self.azurite.restart()
        self.diary.note("  Azurite is back")

    def _kill_broker(self, strength: float) -> None:
        with self.senders["serviceBus"].held():
            self.broker.kill()
            time.sleep(2 * strength)
            self.broker.restart()
            self.diary.note("  the broker is back")

    def _break_broker(self) -> None:
        with self.senders["serviceBus"].held():
            self.broker.cut()

    # --------------------------------------------------------------------------------------------------- the network

    def _cut(self, name: str) -> None:
        self.diary.note(f"  {self.proxies[name].cut()} connections broken")

    def _lose(self, name: str, strength: float) -> None:
        self.proxies[name].drop_responses()
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
