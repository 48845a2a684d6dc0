"""One daemon for each folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vott_messaging.errors import SettingsError


@contextmanager
def locked(folder: Path, option: str) -> Iterator[None]:
    """Lock a folder. The kernel unlocks it if the process is killed.

    Args:
        folder: the folder, which exists.
        option: of the command line, with which another one is chosen.

    Raises:
        SettingsError: another daemon uses it, or it can't be locked.
    """
    file = _open(folder / "lock", option)
    try:
        _lock(file, folder, option)
        yield
    finally:
        os.close(file)


def _open(path: Path, option: str) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"{option}: {path} can't be opened ({error.strerror}); choose another folder") from None


def _lock(file: int, folder: Path, option: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError(f"another daemon uses {folder}; stop it, or choose another folder with {option}") from None
    except OSError as error:
        raise SettingsError(f"{option}: {folder} can't be locked ({error.strerror}); choose another folder") from None
