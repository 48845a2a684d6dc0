"""The work folder: VOTT_WORK_DIR, or a temporary folder that is removed at the end."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "vott-trainer-"


@contextlib.contextmanager
def work_dir(path: Path | None) -> Iterator[Path]:
    """Create the folder `path`, or a temporary one."""
    if path:
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        yield Path(folder)


@contextlib.contextmanager
def shared_work_dir() -> Iterator[None]:
    """Set VOTT_WORK_DIR to a temporary folder if it is not set: the processes of a node share one."""
    if os.environ.get("VOTT_WORK_DIR"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        os.environ["VOTT_WORK_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["VOTT_WORK_DIR"]
