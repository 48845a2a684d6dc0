"""Images kept from one training to the next, in a folder that several pods may use at once (a PVC, a node's disk).

`contents/` holds the files by their sha256, `links/` what is known of a URL: its validators (ETag, Last-Modified) and that sha256.
Every use is a conditional GET with the message's own link: without its store's "304 Not Modified" nothing leaves the cache, so that
a link that permits nothing gets nothing, and a changed image is noticed. No trouble with the cache may fail a training.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Self

from vott_trainer.errors import InvalidParametersError
from vott_trainer.http.urls import unsigned_url

log = logging.getLogger(__name__)

DEFAULT_LIMIT = 50 << 30  # bytes
FREE_FRACTION, FREE_BYTES = 0.05, 5 << 30  # of the disk stay free for others, the smaller of the two
BLOCK = 4096  # bytes that the smallest file takes
CHUNK = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_HEADER = re.compile("[!-~]([ -~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a URL; at least one of the validators is there."""

    sha256: str
    etag: str
    last_modified: str

    def conditions(self) -> dict[str, str]:
        """Return the headers of a request that is to be answered only where this is not up to date."""
        return {"If-None-Match": self.etag} if self.etag else {"If-Modified-Since": self.last_modified}

    def is_sound(self) -> bool:
        """Return whether a file that was read as an entry can be one."""
        return bool(_SHA256.fullmatch(self.sha256) and _HEADER.fullmatch(self.etag or self.last_modified))


class Cache:
    """A folder of at most `limit` bytes; what was not used for the longest time goes first. Safe for threads and several pods."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._added: int | None = None  # bytes since the last look at what there is
        self._broken = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Return the administrator's cache: VOTT_IMAGE_CACHE names the folder, VOTT_IMAGE_CACHE_BYTES its limit.

        Raises:
            InvalidParametersError: the limit is no number of bytes.
        """
        if not (folder := environment.get("VOTT_IMAGE_CACHE")):
            return None
        limit = environment.get("VOTT_IMAGE_CACHE_BYTES")
        return cls(Path(folder), _bytes(limit) if limit else DEFAULT_LIMIT)

    def find(self, url: str) -> Entry | None:
        """Return what is known of a URL."""
        with _quietly():
            entry = Entry(**json.loads(self._link(url).read_bytes()))
            return entry if entry.is_sound() else None
        return None

    def copy(self, url: str, entry: Entry, to: Path) -> bool:
        """Write a content whose use was permitted to `to`; False where it is gone or damaged, and then forgotten."""
        content, link = self._content(entry.sha256), self._link(url)
        with _quietly(), content.open("rb") as source, to.open("wb") as target:
            if _copy(source, target) == entry.sha256:
                _touch(content, link)
                return True
            content.unlink()
        return False

    def add(self, url: str, path: Path, headers: Mapping[str, str]) -> None:
        """Keep a file that was downloaded from `url`, where the answer's `headers` allow that it is asked for again."""
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        if self._broken or not (etag or modified) or "no-store" in headers.get("Cache-Control", "").lower():
            return
        try:
            self._add(url, path, etag, modified)
        except OSError as error:
            self._broken = True
            log.warning("the image cache %s takes nothing more: %s", self._folder, error.strerror)

    def _add(self, url: str, path: Path, etag: str, modified: str) -> None:
        with path.open("rb") as file:
            entry = Entry(hashlib.file_digest(file, "sha256").hexdigest(), etag, modified)
        if (content := self._content(entry.sha256)).exists():
            _touch(content)
        else:
            self._make_room(path.stat().st_size)
            with _atomically(content) as target, path.open("rb") as source:
                shutil.copyfileobj(source, target, CHUNK)
        with _atomically(self._link(url)) as target:
            target.write(json.dumps(asdict(entry)).encode())

    def _make_room(self, size: int) -> None:
        """Look at what there is at first, and whenever a twentieth of the limit was added (other pods add, too)."""
        step, needed = self.limit // 20, on_disk(size) + BLOCK  # the link is a file, too
        with self._lock:
            if self._added is None or self._added + needed > step:
                trim(self._folder, self.limit - max(step, needed))
                self._added = 0
            self._added += needed

    def _content(self, sha256: str) -> Path:
        return self._folder / "contents" / sha256[:2] / sha256

    def _link(self, url: str) -> Path:
        key = hashlib.sha256(unsigned_url(url).encode()).hexdigest()
        return self._folder / "links" / key[:2] / key


def _quietly() -> contextlib.suppress:
    """Whatever is wrong with an entry: it is not there."""
    return contextlib.suppress(OSError, ValueError, TypeError)


def _touch(*files: Path) -> None:
    for file in files:
        with contextlib.suppress(OSError):  # another user's, or gone
            os.utime(file)


def trim(folder: Path, limit: int) -> None:
    """Delete the files that were not used for the longest time, until `limit` bytes remain and some of the disk is free."""
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(_files(folder))
    disk = shutil.disk_usage(folder)
    used = sum(size for _, size, _ in files)
    excess = used - min(limit, used + disk.free - min(int(disk.total * FREE_FRACTION), FREE_BYTES))
    for _, size, path in files:
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        excess -= size


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield when each file was used last, what it takes of the disk, and its path; other pods may delete meanwhile."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found = path.stat()
            if stat.S_ISREG(found.st_mode):
                yield found.st_mtime, on_disk(found.st_size), path


def on_disk(size: int) -> int:
    """Return what a file of `size` bytes takes."""
    return -(-size // BLOCK) * BLOCK


@contextlib.contextmanager
def _atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy, and return the content's sha256."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _bytes(text: str) -> int:
    if not text.isdecimal():
        raise InvalidParametersError(f"VOTT_IMAGE_CACHE_BYTES: expected a number of bytes, found {text[:40]!r}.")
    return int(text)
