"""One daemon for each state folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vott_messaging.errors import SettingsError
from vott_traind.folders import StateFolder


@contextmanager
def locked(state: StateFolder) -> Iterator[None]:
    """Lock the state folder. The kernel unlocks it if the process is killed.

    Raises:
        SettingsError: another daemon uses it.
    """
    file = os.open(state.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise SettingsError(
            f"another daemon uses the state folder {state.path}; stop it, or choose another with --state"
        ) from None
    try:
        yield
    finally:
        os.close(file)
