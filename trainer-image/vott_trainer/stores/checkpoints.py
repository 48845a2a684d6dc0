"""The last two checkpoints of a training in a store, from which the next attempt goes on.

Two slots take turns, and `index.json` says what lies in them. It is written last: until then the other slot's checkpoint counts, so that
a kill at any instant leaves a whole one. This needs neither the right to list nor the right to delete.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from vott_trainer.errors import TemporaryFailureError, TrainerError
from vott_trainer.plugin_api import Checkpoint, Reached
from vott_trainer.stores.base import Store

log = logging.getLogger(__name__)

INDEX = "index.json"
LARGEST_INDEX = 1 << 16  # bytes
Slot = Literal["0.pt", "1.pt"]
SLOTS: tuple[Slot, Slot] = ("0.pt", "1.pt")


@dataclass(frozen=True)
class StoredCheckpoint(Checkpoint):
    """A checkpoint with its slot in the store and its SHA-256."""

    slot: Slot
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Index(BaseModel):
    """What `index.json` holds, the newest first: written by whoever may write there, so no name of it is taken as it is."""

    checkpoints: Annotated[list[StoredCheckpoint], Field(max_length=len(SLOTS))]


class Checkpoints:
    """Those of one training. Errors of the store are logged, and never end a training.

    Args:
        folder: for the files on their way.
    """

    def __init__(self, store: Store, folder: Path, every_seconds: float) -> None:
        self._store, self._folder, self.every_seconds = store, folder, every_seconds
        self._known: list[StoredCheckpoint] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._saving: threading.Thread | None = None
        self.why_anew = ""

    @property
    def newest(self) -> StoredCheckpoint | None:
        """The last one that was stored or found."""
        return self._known[0] if self._known else None

    def look(self) -> StoredCheckpoint | None:
        """Read the index; return what the newest checkpoint is, unverified.

        Raises:
            TemporaryFailureError: the store does not answer; what it holds must not be written over for that.
        """
        path = self._folder / INDEX
        try:
            if self._store.get(INDEX, path):
                self._known = [replace(one, url=self._store.url_of(one.slot)) for one in _read_index(path)]
        except TemporaryFailureError:
            raise
        except (TrainerError, OSError, ValueError) as error:
            self._give_up(f"The list of checkpoints could not be read ({_first_line(error)}).")
        return self.newest

    def fetch(self, work: str) -> tuple[StoredCheckpoint, Path] | None:
        """Newest intact checkpoint for `work` and its file, or None; see `why_anew`.

        Newer, unusable ones are forgotten: the next checkpoint takes their slot, not that of the one returned.

        Raises:
            TemporaryFailureError: the store does not answer.
        """
        for number, checkpoint in enumerate(self._known):
            if checkpoint.work != work:
                self._give_up(f"The checkpoint of {checkpoint.time} is of other images or parameters.")
            elif path := self._fetch(checkpoint):
                self._known = self._known[number:]
                return checkpoint, path
        return None

    def _fetch(self, checkpoint: StoredCheckpoint) -> Path | None:
        path = self._folder / f"found-{checkpoint.slot}"
        try:
            if self._store.get(checkpoint.slot, path) and _sha256(path) == checkpoint.sha256:
                return path
            self._give_up(f"The checkpoint of {checkpoint.time} is damaged or gone.")
        except TemporaryFailureError:
            raise
        except (TrainerError, OSError) as error:
            self._give_up(f"The checkpoint of {checkpoint.time} can't be read ({_first_line(error)}).")
        return None

    def _give_up(self, why: str) -> None:
        log.warning("%s", why)
        self.why_anew = why

    def save(self, write: Callable[[Path], None], reached: Reached) -> bool:
        """Store what `write` writes to a file; return whether it is there now."""
        slot = SLOTS[1] if self.newest and self.newest.slot == SLOTS[0] else SLOTS[0]
        path = self._folder / slot
        try:
            write(path)
            stored = self._store.put(path, slot)
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            made = StoredCheckpoint(**asdict(reached), url=stored.url, slot=slot, sha256=stored.sha256, time=now)
            self._write_index([made, *self._known[:1]])
        except (
            Exception
        ) as error:  # whatever it is, it must end no training; torch says RuntimeError when the disk is full
            log.warning("no checkpoint at epoch %d, step %d; training goes on: %s", reached.epoch, reached.step, error)
            return False
        finally:
            path.unlink(missing_ok=True)
        log.info("checkpoint at epoch %d, step %d: %s", reached.epoch, reached.step, stored.url)
        return True

    def save_meanwhile(self, write: Callable[[Path], None], reached: Reached) -> None:
        """Do the same in a thread, while the training goes on; not if the last one is still on its way."""
        if not self.saving:
            self._saving = threading.Thread(target=self.save, args=(write, reached), name="checkpoint", daemon=True)
            self._saving.start()

    @property
    def saving(self) -> bool:
        """Whether one is on its way."""
        return bool(self._saving and self._saving.is_alive())

    def wait(self) -> None:
        """Return when none is on its way any more."""
        if self._saving:
            self._saving.join()

    def clear(self) -> None:
        """Remove all that is there: the training is over."""
        self.wait()
        try:
            for name in (INDEX, *SLOTS) if self._known else ():
                self._store.delete(name)
        except Exception as error:  # tidying up must not fail a training that has succeeded
            log.warning("the checkpoints at %s stay there: %s", self._store.shown, error)

    def _write_index(self, known: list[StoredCheckpoint]) -> None:
        path = self._folder / INDEX
        path.write_text(json.dumps({"checkpoints": [asdict(one) for one in known]}, indent=2), encoding="utf-8")
        self._store.put(path, INDEX)
        self._known = known


def _read_index(path: Path) -> list[StoredCheckpoint]:
    if path.stat().st_size > LARGEST_INDEX:
        raise ValueError(f"it is larger than {LARGEST_INDEX:,} bytes")
    return _Index.model_validate_json(path.read_bytes()).checkpoints


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
