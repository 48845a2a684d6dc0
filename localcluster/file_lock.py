"""Exclusive lock on a file, shared by all runs on this machine."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster.progress import print_line


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; report when this has to wait. The kernel releases it with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print_line(f"Waiting for another run, which holds {path} …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
