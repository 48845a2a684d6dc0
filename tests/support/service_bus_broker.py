"""A Service Bus namespace for tests, which speaks real AMQP 1.0 and can be killed, restarted and disconnected.

Microsoft's emulator exists only as a container image. This program (`tests/support/service_bus/`) implements queues without
sessions: peek-lock, lock expiry and renewal, delivery counts, dead-lettering, duplicate detection and browsing.
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
    """Settings of a Service Bus queue."""

    lock_seconds: float = 30.0
    max_delivery_count: int = 10
    duplicate_detection_seconds: float = 0.0
    """0 disables duplicate detection."""


@dataclass(frozen=True)
class Counts:
    """Number of waiting, locked and dead-lettered messages of a queue."""

    active: int
    locked: int
    dead_lettered: int


@dataclass(frozen=True)
class StoredMessage:
    """A message as the broker stores it."""

    sequence_number: int
    message_id: str
    delivery_count: int
    """Number of failed deliveries."""
    body: bytes
    reason: str
    description: str


class ServiceBusBroker:
    """A private broker on free ports with its own data; it ends with this process at the latest.

    Use it as a context manager, or call :meth:`stop`. Methods that inspect it raise OSError while it is down.

    Raises:
        LocalClusterError: The broker doesn't start.
    """

    def __init__(self, queues: Mapping[str, QueueOptions] | None = None, *, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port, self._control_port = free_ports(2, host)
        self._folder = tempfile.TemporaryDirectory(prefix="vott-service-bus-")
        self._programs = ChildPrograms(Path(self._folder.name))
        try:
            self._programs.start(self._program(Path(self._folder.name) / "broker.sqlite"))
            self.change_key()
            for name, options in (queues or {}).items():
                self.add_queue(name, options)
        except BaseException:
            self.stop()
            raise

    def _program(self, file: Path) -> Program:
        arguments = (self.host, str(self.port), str(self._control_port), str(file))
        command = (sys.executable, "-m", "tests.support.service_bus", *arguments)
        return Program(PROGRAM, command, self._is_ready, environment={"PYTHONPATH": str(ROOT)})

    def _is_ready(self) -> bool:
        try:
            self._command("ping")
        except OSError:
            return False
        return True

    @property
    def connection_string(self) -> str:
        """Connection string for clients; unchanged by a restart."""
        return self.connection_string_at(f"{self.host}:{self.port}")

    def connection_string_at(self, address: str) -> str:
        """Connection string for another `host:port`, such as a proxy's."""
        # Only with this switch does the client omit TLS and keep the port.
        key = f"SharedAccessKeyName={KEY_NAME};SharedAccessKey={self.key}"
        return f"Endpoint=sb://{address};{key};UseDevelopmentEmulator=true;"

    def add_queue(self, name: str, options: QueueOptions = QueueOptions()) -> None:
        """Create a queue, or change its options."""
        self._command(
            "add_queue",
            name=name,
            lock_seconds=options.lock_seconds,
            max_delivery_count=options.max_delivery_count,
            duplicate_detection_seconds=options.duplicate_detection_seconds,
        )

    def change_key(self) -> None:
        """Replace the shared access key; new connections with the old one are rejected."""
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._command("set_key", key=self.key)

    def counts(self, queue: str) -> Counts:
        """Number of messages in each state."""
        return Counts(*self._command("counts", queue=queue))

    def messages(self, queue: str) -> list[StoredMessage]:
        """The waiting and locked messages, oldest first."""
        return [_message(fields) for fields in self._command("messages", queue=queue)]

    def dead_letters(self, queue: str) -> list[StoredMessage]:
        """The messages of the dead-letter sub-queue."""
        return [_message(fields) for fields in self._command("dead_letters", queue=queue)]

    def cut(self) -> None:
        """Break all connections without losing messages."""
        self._command("cut")

    def kill(self) -> None:
        """Kill it like a crash; messages, locks and delivery counts remain on disk."""
        self._programs.kill(PROGRAM)

    def restart(self) -> None:
        """Restart it on the same ports with the same data."""
        self._programs.restart(PROGRAM)

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Kill the broker for the block, and always restart it afterwards: it may be shared."""
        self.kill()
        try:
            yield
        finally:
            self.restart()

    def stop(self) -> None:
        """Stop it and delete its data."""
        self._programs.stop()
        self._folder.cleanup()

    def _command(self, command: str, **arguments: object) -> Any:
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
