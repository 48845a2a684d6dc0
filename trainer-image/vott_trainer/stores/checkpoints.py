"""Save and resume checkpoints; retention: the last two of a training.

Two slots alternate, and the index, written last, lists what they hold. Until then the other slot's checkpoint counts: a kill at any
time leaves an intact one. This requires no permission to list or delete.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from vott_guard.timestamps import timestamp
from vott_trainer.errors import TemporaryFailureError, TrainerError, first_line
from vott_trainer.plugin_api import TrainingPosition
from vott_trainer.stores.checkpoint_index import INDEX, SLOTS, StoredCheckpoint, read_index, write_index
from vott_trainer.stores.checksums import sha256_of
from vott_trainer.stores.store import Store

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one training. Errors of the store are logged and never end the training.

    Args:
        store: where they are stored.
        folder: for files to upload and downloaded ones.
        every_seconds: interval between two checkpoints.
    """

    def __init__(self, store: Store, folder: Path, every_seconds: float) -> None:
        self._store, self._folder, self.every_seconds = store, folder, every_seconds
        self._indexed: list[StoredCheckpoint] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._saving: threading.Thread | None = None
        self.restart_reason = ""

    @property
    def newest(self) -> StoredCheckpoint | None:
        """The newest checkpoint stored or found."""
        return self._indexed[0] if self._indexed else None

    def read_index(self) -> StoredCheckpoint | None:
        """Read the index; return the newest checkpoint, unverified.

        Raises:
            TemporaryFailureError: the store does not answer; its checkpoints must not be overwritten for that.
        """
        path = self._folder / INDEX
        try:
            if self._store.get(INDEX, path):
                self._indexed = [replace(one, url=self._store.url_of(one.slot)) for one in read_index(path)]
        except TemporaryFailureError:
            raise
        except (TrainerError, OSError, ValueError) as error:
            self._reject(f"The checkpoint index could not be read ({first_line(error)}).")
        return self.newest

    def fetch(self, work: str) -> tuple[StoredCheckpoint, Path] | None:
        """Return the newest intact checkpoint for `work` and its file, or None; see `restart_reason`.

        Newer checkpoints that can't be used are dropped, so that the next one takes their slot.

        Raises:
            TemporaryFailureError: the store does not answer.
        """
        for number, checkpoint in enumerate(self._indexed):
            if checkpoint.work != work:
                self._reject(f"The checkpoint of {checkpoint.time} is for other images or parameters.")
            elif path := self._fetch(checkpoint):
                self._indexed = self._indexed[number:]
                return checkpoint, path
        return None

    def _fetch(self, checkpoint: StoredCheckpoint) -> Path | None:
        path = self._folder / f"found-{checkpoint.slot}"
        try:
            if self._store.get(checkpoint.slot, path) and sha256_of(path) == checkpoint.sha256:
                return path
            self._reject(f"The checkpoint of {checkpoint.time} is damaged or missing.")
        except TemporaryFailureError:
            raise
        except (TrainerError, OSError) as error:
            self._reject(f"The checkpoint of {checkpoint.time} can't be read ({first_line(error)}).")
        return None

    def _reject(self, reason: str) -> None:
        log.warning("%s", reason)
        self.restart_reason = reason

    def save(self, write: Callable[[Path], None], position: TrainingPosition) -> bool:
        """Store the file that `write` writes; False if that failed."""
        slot = SLOTS[1] if self.newest and self.newest.slot == SLOTS[0] else SLOTS[0]
        path = self._folder / slot
        try:
            write(path)
            stored = self._store.put(path, slot)
            now = timestamp(datetime.now(UTC))
            checkpoint = StoredCheckpoint(**asdict(position), url=stored.url, slot=slot, sha256=stored.sha256, time=now)
            self._store_index([checkpoint, *self._indexed[:1]])
        except Exception as error:  # none must end a training; torch raises RuntimeError when the disk is full
            log.warning(
                "no checkpoint at epoch %d, step %d; training continues: %s", position.epoch, position.step, error
            )
            return False
        finally:
            path.unlink(missing_ok=True)
        log.info("checkpoint at epoch %d, step %d: %s", position.epoch, position.step, stored.url)
        return True

    def save_in_background(self, write: Callable[[Path], None], position: TrainingPosition) -> None:
        """Save in a background thread; do nothing while the previous save is in progress."""
        if not self.is_saving:
            self._saving = threading.Thread(target=self.save, args=(write, position), name="checkpoint", daemon=True)
            self._saving.start()

    @property
    def is_saving(self) -> bool:
        """Whether a background save is in progress."""
        return bool(self._saving and self._saving.is_alive())

    def wait(self) -> None:
        """Block until no save is in progress."""
        if self._saving:
            self._saving.join()

    def clear(self) -> None:
        """Delete all checkpoints once the training is complete."""
        self.wait()
        try:
            for name in (INDEX, *SLOTS) if self._indexed else ():
                self._store.delete(name)
        except Exception as error:  # must not fail a training that has succeeded
            log.warning("the checkpoints at %s are not deleted: %s", self._store.location, error)

    def _store_index(self, checkpoints: list[StoredCheckpoint]) -> None:
        path = self._folder / INDEX
        write_index(path, checkpoints)
        self._store.put(path, INDEX)
        self._indexed = checkpoints
