"""Results that are made once and kept in the cache by their content's key; safe with several makers at once."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.paths import cache_folder
from localcluster.progress import say


@dataclass(frozen=True)
class Build:
    """A folder in the cache; ``is_needed`` says whether it is still to be filled."""

    folder: Path
    is_needed: bool


def content_key(*parts: str | bytes) -> str:
    """A short hash of all parts and of where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def files_key(paths: list[Path], root: Path) -> str:
    """A short hash of the files' names below ``root``, contents and executable bits."""
    parts: list[bytes] = []
    for path in sorted(paths):
        mode = b"x" if path.stat().st_mode & 0o100 else b"-"
        parts += [str(path.relative_to(root)).encode(), mode, path.read_bytes()]
    return content_key(*parts)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for it (and saying so); the kernel frees it with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another run, which holds {path} …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def build_once(name: str, key: str) -> Iterator[Build]:
    """Give the folder ``NAME-KEY`` of the cache, to be filled by the body when ``is_needed``.

    Programs may carry the folder's path in themselves (virtual environments do), so it is filled in place; the file ``complete``
    in it, written last, tells a finished one from the remains of a killed maker. Others that want the same wait.
    """
    folder = cache_folder() / f"{name}-{key}"
    complete = folder / "complete"
    if complete.exists():
        yield Build(folder, is_needed=False)
        return
    with locked(cache_folder() / "locks" / f"{name}.lock"):
        if complete.exists():
            yield Build(folder, is_needed=False)
            return
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        yield Build(folder, is_needed=True)
        complete.touch()
