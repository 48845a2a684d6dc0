"""The variables that credentials come in: from a mounted Secret, or from the environment."""

import os
from collections.abc import Hashable
from pathlib import Path

from vott_operator.errors import SettingsError


class Credentials:
    """Reads each variable when it is asked for, so that a Secret that changed is used without a restart.

    Args:
        folder: a mounted Secret, one file for each variable; then the environment does not count. None: the environment.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, name: str) -> str | None:
        """The variable's value without white space around it; None when it is not set or empty.

        Raises SettingsError when its file can't be read.
        """
        if self.folder is None:
            return os.environ.get(name, "").strip() or None
        try:
            return (self.folder / name).read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise SettingsError(f"{name} in {self.folder} can't be read: {why}") from None

    def fingerprint(self) -> Hashable:
        """Another value after the variables may have changed. The kubelet swaps a link, which gives every file another inode."""
        if self.folder is None:
            return None
        try:
            with os.scandir(self.folder) as entries:
                return frozenset(_version(entry) for entry in entries)
        except OSError:
            return None  # not there (yet), or being swapped right now: the next look tells

    @property
    def where(self) -> str:
        """Where the variables are set, for error texts."""
        return f"the Secret mounted at {self.folder}" if self.folder else "the environment"


def _version(entry: "os.DirEntry[str]") -> Hashable:
    status = entry.stat()
    return entry.name, status.st_ino, status.st_mtime_ns, status.st_size
