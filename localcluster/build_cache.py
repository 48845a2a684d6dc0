"""A cache of build results by content hash; each is built once, also by concurrent runs."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.file_lock import locked
from localcluster.paths import cache_folder


@dataclass(frozen=True)
class Build:
    """A folder in the cache; ``is_needed`` if it has to be filled."""

    folder: Path
    is_needed: bool


def content_key(*parts: str | bytes) -> str:
    """A short hash of the parts and their boundaries."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def files_key(paths: list[Path], root: Path) -> str:
    """A short hash of the files' paths below ``root``, contents and executable bits."""
    parts: list[bytes] = []
    for path in sorted(paths):
        mode = b"x" if path.stat().st_mode & 0o100 else b"-"
        parts += [str(path.relative_to(root)).encode(), mode, path.read_bytes()]
    return content_key(*parts)


@contextmanager
def build_once(name: str, key: str) -> Iterator[Build]:
    """Yield the cache folder ``NAME-KEY``, which the body fills if ``is_needed``. Concurrent runs wait.

    The folder is filled in place, because some results contain its path (virtual environments do). The file ``complete``,
    written last, distinguishes a finished build from a killed one.
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
