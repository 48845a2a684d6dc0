"""Where the daemon keeps its files: the state folder, with a folder for each training, and the work folders of the slots."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vott_messaging.errors import SettingsError, VottError
from vott_trainer.atomic_write import atomic_write

DEFAULT_STATE = Path("/var/lib/vott-traind")
TEMPORARY = Path(tempfile.gettempdir()) / f"vott-train-{os.geteuid()}"
"""For the state where the default can't be written."""
WORK_SUBFOLDER = "vott-traind"
"""Of a chosen work folder, which may be one for everyone, such as /tmp."""
CONTAINER_FILES = (".dockerenv", "run/.containerenv")
"""What Docker and Podman put into each container."""
PRIVATE = 0o700


class StateUnavailableError(VottError):
    """The state or work folder can't be read or written, for example because the disk is full."""


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """The files of one training. Plugins' scripts have no access to them: the URLs carry credentials."""

    path: Path

    @property
    def record(self) -> Path:
        """What the daemon knows about the training (`records.py`)."""
        return self.path / "record.json"

    @property
    def status(self) -> Path:
        """The trainer's newest report."""
        return self.path / "status.json"

    @property
    def termination(self) -> Path:
        """Why the trainer failed."""
        return self.path / "termination.json"

    @property
    def process(self) -> Path:
        """Which process trains (`processes.py`)."""
        return self.path / "process.json"

    @property
    def log(self) -> Path:
        """What the trainer prints, of all attempts (`log_follower.py`)."""
        return self.path / "trainer.log"

    @property
    def urls(self) -> Path:
        """Folder with a file for each URL that carries a credential."""
        return self.path / "urls"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder that makes restarts safe: which trainings have ended, and which outcomes are still to be posted."""

    path: Path

    def training(self, name: str) -> TrainingFolder:
        """The folder of one training, which may not exist."""
        return TrainingFolder(self.path / "trainings" / name)

    def trainings(self) -> Iterator[TrainingFolder]:
        """The folders of all trainings."""
        folder = self.path / "trainings"
        if folder.is_dir():
            yield from (TrainingFolder(path) for path in sorted(folder.iterdir()) if path.is_dir())


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The folder of one slot, emptied before each training. Its content may be large, and is never needed again."""

    path: Path

    @property
    def work(self) -> Path:
        """For VOTT_WORK_DIR: images and the model."""
        return self.path / "work"

    @property
    def temporary(self) -> Path:
        """For HOME and TMPDIR."""
        return self.path / "tmp"


def open_state(chosen: Path | None) -> StateFolder:
    """Create the state folder; without a choice, a temporary one where the default can't be written.

    Raises:
        SettingsError: it can't be written.
    """
    if chosen is None:
        with suppress(OSError):
            return StateFolder(private_folder(DEFAULT_STATE))
    return StateFolder(_open("--state", chosen or TEMPORARY))


def open_work(chosen: Path | None, state: StateFolder) -> Path:
    """Create the folder for the work of all slots: below the chosen one, else below the state. Raises as `open_state` does."""
    return _open("--work", chosen / WORK_SUBFOLDER if chosen else state.path / "work")


def is_in_container_layer(path: Path, root: Path = Path("/")) -> bool:
    """Whether a folder is in no volume of its container, and so is removed with it."""
    in_container = any((root / name).exists() for name in CONTAINER_FILES)
    return in_container and path.stat().st_dev == root.stat().st_dev


def _open(option: str, path: Path) -> Path:
    try:
        return private_folder(path)
    except OSError as error:
        raise SettingsError(f"{option}: {path} can't be written ({error.strerror}); choose another folder") from None


def private_folder(path: Path) -> Path:
    """Create a folder that no other user can open. One that exists keeps its permissions: it may serve others too.

    Raises:
        OSError: it can't be created or written to, or belongs to another user.
    """
    path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if path.stat().st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, "it belongs to another user")
    probe = path / ".writable"
    probe.touch()
    probe.unlink()
    return path


def write_durably(file: Path, data: bytes) -> None:
    """Replace a file so that it survives a crash of the machine, as a whole."""
    with atomic_write(file) as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
