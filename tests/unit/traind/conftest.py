"""A daemon's parts over queues in memory, with a small program in place of the trainer."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.traind import fake_trainer
from vott_guard.backoff import Backoff
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.delivery.settlement import Settlement
from vott_messaging.errors import CallbackError
from vott_messaging.messages.queue_defaults import MessageDefaults
from vott_messaging.queues.memory import MemoryQueue
from vott_messaging.settings.plugins import PluginSettings
from vott_traind import attempt, processes, trainer
from vott_traind.devices import Slot
from vott_traind.folders import StateFolder, WorkFolder
from vott_traind.metrics import Metrics
from vott_traind.outcomes import Outcomes
from vott_traind.parts import Limits, Parts
from vott_traind.receiving import Receiver
from vott_traind.records import Records
from vott_traind.slots import Slots
from vott_traind.trainer import TrainerOptions
from vott_traind.trainings import Trainings

QUICK = Backoff(first=0.01, longest=0.01)
PATIENCE_SECONDS = 60.0


@dataclass
class Sender:
    """In place of CallbackSender: records the posts; `errors` are raised first."""

    posts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    errors: list[CallbackError] = field(default_factory=list)

    async def send(self, url: str, webhook_id: str, body: dict[str, Any], *_: object) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.posts.append((url, webhook_id, body))

    @property
    def states(self) -> list[str]:
        return [body["state"] for _, _, body in self.posts]


class SilentOutput:
    """Shows nothing; records the trainers' lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, *_: object) -> None: ...

    def line(self, name: str, text: str) -> None:
        self.lines.append(f"{name}: {text}")

    def end(self, name: str) -> None: ...


@dataclass
class Daemon:
    """The parts of a daemon with one queue and one slot."""

    queue: MemoryQueue
    parts: Parts
    sender: Sender
    receiver: Receiver

    @property
    def records(self) -> Records:
        return self.parts.records

    async def run_until(self, probe: Callable[[], object]) -> None:
        """Receive until `probe` is true, then stop."""
        receiving = asyncio.create_task(self.receiver.run())
        await until(probe)
        receiving.cancel()
        self.parts.stopping.set()
        await self.receiver.finish(PATIENCE_SECONDS)
        await self.parts.outcomes.close(5)


async def until(probe: Callable[[], object]) -> None:
    """Wait until `probe` is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not probe():  # noqa: ASYNC110 - of a process or a file, which set no Event
            await asyncio.sleep(0.01)


@pytest.fixture
def _fake_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(attempt, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(processes, "POLL_SECONDS", 0.01)
    real = trainer.command

    def command(*arguments: Any, **options: Any) -> list[str]:
        line = real(*arguments, **options)
        return [sys.executable, str(Path(fake_trainer.__file__)), *line[line.index("vott_trainer") + 1 :]]

    monkeypatch.setattr(trainer, "command", command)


@pytest.fixture
def build(tmp_path: Path, _fake_trainer: None) -> Callable[..., Daemon]:
    """Builds daemons that share a state folder; a queue given here outlives them."""

    def build_daemon(
        queue: MemoryQueue | None = None, *, backoff_limit: int = 1, slots: int = 1, silence_seconds: float = 0
    ) -> Daemon:
        queue = MemoryQueue(time.monotonic) if queue is None else queue
        records, sender, metrics, stopping = (
            Records(StateFolder(tmp_path / "state")),
            Sender(),
            Metrics(),
            asyncio.Event(),
        )
        outcomes = Outcomes(records, sender, metrics, 60, backoff=QUICK)  # type: ignore[arg-type]
        places = [Slot(number) for number in range(slots)]
        parts = Parts(
            records=records,
            outcomes=outcomes,
            progress=None,
            metrics=metrics,
            output=SilentOutput(),
            limits=Limits(backoff_limit, QUICK, silence_seconds),
            options=TrainerOptions({}, 5, 0, False, ()),
            work={slot: WorkFolder(tmp_path / f"slot-{slot.number}") for slot in places},
            stopping=stopping,
        )
        plugins = PluginSettings(default="hello-world")
        shared, defaults = Slots(places), MessageDefaults("", "", "hello-world", {})
        trainings = Trainings(queue.identity, plugins, defaults, parts)
        settlement = Settlement(queue, Rejection(queue, sender), "daemon")  # type: ignore[arg-type]
        return Daemon(queue, parts, sender, Receiver(queue, settlement, trainings, shared))

    return build_daemon
