"""Azure credentials from a mounted Secret or the environment, read again on rotation."""

import os
from collections.abc import Hashable
from pathlib import Path

from vott_messaging.errors import SettingsError


class Credentials:
    """Variables that are read on each access, so that a changed Secret needs no restart.

    Args:
        folder: a mounted Secret with one file for each variable; the environment is then ignored. None: the environment.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, name: str) -> str | None:
        """The variable's value without surrounding white space; None when it is missing or empty.

        Raises SettingsError when its file can't be read.
        """
        if self.folder is None:
            return os.environ.get(name, "").strip() or None
        try:
            return (self.folder / name).read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(f"{name} in {self.folder} can't be read: {cause}") from None

    def fingerprint(self) -> Hashable:
        """A value that changes whenever the variables may have changed.

        The kubelet updates a Secret by swapping a symbolic link, which gives every file another inode.
        """
        if self.folder is None:
            return None
        try:
            with os.scandir(self.folder) as entries:
                return frozenset(_version(entry) for entry in entries)
        except OSError:
            return None  # not mounted yet, or being swapped: the next call sees it

    @property
    def where(self) -> str:
        """Where the variables are set, for error texts."""
        return f"the Secret mounted at {self.folder}" if self.folder else "the environment"


def _version(entry: "os.DirEntry[str]") -> Hashable:
    status = entry.stat()
    return entry.name, status.st_ino, status.st_mtime_ns, status.st_size
