"""A Service Bus namespace for tests: real AMQP 1.0 for the real client, killed, restarted and cut off at will.

Microsoft's emulator is a container image only. This one is a small program (`tests/support/service_bus/`) that does what
queues without sessions do: peek-lock, locks that end, renewal, delivery counts, dead letters, duplicate detection, peeking.
"""

import base64
import json
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localcluster.child_programs import ChildPrograms
from localcluster.ports import free_ports
from localcluster.program import Program
from tests.support.service_bus.auth import KEY_NAME

ROOT = Path(__file__).parents[2]
PROGRAM = "service-bus-broker"
CONTROL_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class QueueOptions:
    """What an administrator sets for a queue of Service Bus."""

    lock_seconds: float = 30.0
    max_delivery_count: int = 10
    duplicate_detection_seconds: float = 0.0
    """0: no duplicate detection."""


@dataclass(frozen=True)
class Counts:
    """How many messages of a queue wait, are in somebody's hand, and are dead letters."""

    active: int
    locked: int
    dead_lettered: int


@dataclass(frozen=True)
class StoredMessage:
    """A message as the broker keeps it."""

    sequence_number: int
    message_id: str
    delivery_count: int
    """How often it was delivered in vain."""
    body: bytes
    reason: str
    description: str


class ServiceBusBroker:
    """A private broker on free ports with data of its own; ends with this process at the latest.

    Use it as a context manager, or call :meth:`stop`. Methods that look inside raise OSError while it is down.

    Raises:
        LocalClusterError: it does not start.
    """

    def __init__(self, queues: Mapping[str, QueueOptions] | None = None, *, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port, self._control_port = free_ports(2, host)
        self._folder = tempfile.TemporaryDirectory(prefix="vott-service-bus-")
        self._programs = ChildPrograms(Path(self._folder.name))
        self._programs.start(self._program(Path(self._folder.name) / "broker.sqlite"))
        self.change_key()
        for name, options in (queues or {}).items():
            self.add_queue(name, options)

    def _program(self, file: Path) -> Program:
        places = (self.host, str(self.port), str(self._control_port), str(file))
        command = (sys.executable, "-m", "tests.support.service_bus", *places)
        return Program(PROGRAM, command, self._answers, environment={"PYTHONPATH": str(ROOT)})

    def _answers(self) -> bool:
        try:
            self._ask("ping")
        except OSError:
            return False
        return True

    @property
    def connection_string(self) -> str:
        """What clients connect with; the same after a restart."""
        return self.connection_string_at(f"{self.host}:{self.port}")

    def connection_string_at(self, address: str) -> str:
        """The same for another `host:port`, as that of a proxy before the broker."""
        # The client takes this switch alone as leave to do without TLS and to keep the port.
        key = f"SharedAccessKeyName={KEY_NAME};SharedAccessKey={self.key}"
        return f"Endpoint=sb://{address};{key};UseDevelopmentEmulator=true;"

    def add_queue(self, name: str, options: QueueOptions = QueueOptions()) -> None:
        """Make a queue, or change its options."""
        self._ask(
            "add_queue",
            name=name,
            lock_seconds=options.lock_seconds,
            max_delivery_count=options.max_delivery_count,
            duplicate_detection_seconds=options.duplicate_detection_seconds,
        )

    def change_key(self) -> None:
        """Make another shared access key: whoever connects with the old one from now on is refused."""
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._ask("set_key", key=self.key)

    def counts(self, queue: str) -> Counts:
        """How many messages there are, and in which state."""
        return Counts(*self._ask("counts", queue=queue))

    def messages(self, queue: str) -> list[StoredMessage]:
        """The messages that wait or are in somebody's hand, the oldest first."""
        return [_message(fields) for fields in self._ask("messages", queue=queue)]

    def dead_letters(self, queue: str) -> list[StoredMessage]:
        """The messages of the dead-letter sub-queue."""
        return [_message(fields) for fields in self._ask("dead_letters", queue=queue)]

    def cut(self) -> None:
        """Break every connection now; nothing is forgotten."""
        self._ask("cut")

    def kill(self) -> None:
        """End it as a crash would; messages, locks and delivery counts stay on disk."""
        self._programs.kill(PROGRAM)

    def restart(self) -> None:
        """Start it again on the same ports with the same data."""
        self._programs.restart(PROGRAM)

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Killed in the block, and there again after it in any case: others may use it, too."""
        self.kill()
        try:
            yield
        finally:
            self.restart()

    def stop(self) -> None:
        """End it and forget its data."""
        self._programs.stop()
        self._folder.cleanup()

    def _ask(self, command: str, **arguments: object) -> Any:
        connection = HTTPConnection(self.host, self._control_port, timeout=CONTROL_TIMEOUT_SECONDS)
        try:
            connection.request("POST", f"/{command}", json.dumps(arguments).encode())
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _message(fields: dict[str, Any]) -> StoredMessage:
    return StoredMessage(**{**fields, "body": base64.b64decode(fields["body"])})
