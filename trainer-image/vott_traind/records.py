"""What the daemon remembers about each training: its outcome, its failures, and whether the outcome is to be posted.

A record is written before its message is settled. So a message that is delivered again, because the daemon was killed or lost its lock,
is settled by its record, and trains no second time.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from vott_messaging.callbacks.payload import ProgressReport
from vott_traind.folders import PRIVATE, StateFolder, TrainingFolder, write_durably

logger = logging.getLogger(__name__)

Outcome = Literal["succeeded", "failed"]

KEPT_SECONDS = 14 * 86_400.0
"""How long a record is kept. By default Azure delivers a message for 7 days (Storage) or 14 days (Service Bus)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One training; times in seconds since 1970."""

    name: str
    queue: str
    """Identity of the queue."""
    message_id: str
    sequence: str = ""
    """See `Delivery.sequence`."""
    digest: str
    """Of the message's content."""
    started: float
    """When the message was first received."""
    failures: int = 0
    """Attempts that failed; interruptions don't count."""
    crashes: int = 0
    """How often the daemon was killed during an attempt."""
    outcome: Outcome | None = None
    """None until the training has ended."""
    reason: str = ""
    """Why it failed: one CamelCase word."""
    message: str = ""
    """The outcome in a sentence."""
    ended: float = 0.0
    callback: str | None = None
    """URL that the outcome is still to be posted to, with its credential."""
    report: ProgressReport | None = None
    """The trainer's last report, for the callback."""


class Records:
    """The records in the state folder. Methods raise OSError if it can't be read or written."""

    def __init__(self, state: StateFolder, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def folder(self, name: str) -> TrainingFolder:
        """The folder of one training."""
        return self._state.training(name)

    def get(self, name: str) -> Record | None:
        """The record of a training; None if there is none."""
        return _read(self.folder(name))

    def put(self, record: Record) -> None:
        """Write a record, so that it survives a crash of the machine."""
        folder = self.folder(record.name)
        folder.path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        write_durably(folder.record, json.dumps(asdict(record)).encode())

    def with_pending_callback(self) -> Iterator[Record]:
        """The records whose outcome is still to be posted."""
        return filter(_is_pending, self.all())

    def all(self) -> Iterator[Record]:
        """All records."""
        for folder in self._state.trainings():
            if (record := _read(folder)) is not None:
                yield record

    def remove_expired(self) -> None:
        """Remove the folders of trainings whose messages the queue no longer delivers; log those that can't be removed."""
        for folder in self._state.trainings():
            try:
                if self._is_expired(folder):
                    shutil.rmtree(folder.path)
            except OSError as error:
                logger.warning("%s has expired but can't be removed: %s", folder.path, error)

    def _is_expired(self, folder: TrainingFolder) -> bool:
        written = (folder.record if folder.record.exists() else folder.path).stat().st_mtime
        is_old = self._clock() - written > KEPT_SECONDS
        return is_old and not folder.process.exists() and not _is_pending(_read(folder))


def _is_pending(record: Record | None) -> bool:
    """Whether the outcome is still to be posted."""
    return record is not None and record.outcome is not None and record.callback is not None


def _read(folder: TrainingFolder) -> Record | None:
    try:
        fields = json.loads(folder.record.read_bytes())
        report = fields.pop("report")
        return Record(**fields, report=ProgressReport(**report) if report else None)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        logger.warning("%s can't be read and is ignored; its training may train again", folder.record)
        return None
