"""The image cache: a folder that several pods may share (a PVC, a node's disk), kept from one training to the next.

`contents/` holds the files by SHA-256; `links/` holds, for each URL, its validators (ETag, Last-Modified) and the SHA-256.
Each use is a conditional GET with the message's own link, and the cache serves only on 304 Not Modified: a link without
permission gets nothing, and a changed image is noticed. A defect of the cache never fails a training.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Self

from vott_trainer.atomic_write import atomic_write
from vott_trainer.errors import InvalidParametersError
from vott_trainer.http.urls import unsigned_url

log = logging.getLogger(__name__)

DEFAULT_LIMIT = 50 << 30  # bytes
FREE_FRACTION, FREE_BYTES = 0.05, 5 << 30  # of the disk stay free for others: the smaller of the two
BLOCK = 4096  # bytes on disk of the smallest file
CHUNK = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_HEADER = re.compile("[!-~]([ -~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the cache holds for a URL; at least one validator is not empty."""

    sha256: str
    etag: str
    last_modified: str

    def conditions(self) -> dict[str, str]:
        """Return the headers of a conditional request (RFC 9110, section 13)."""
        return {"If-None-Match": self.etag} if self.etag else {"If-Modified-Since": self.last_modified}

    def is_valid(self) -> bool:
        """Whether the fields, as read from a file, have the right form."""
        return bool(_SHA256.fullmatch(self.sha256) and _HEADER.fullmatch(self.etag or self.last_modified))


class ImageCache:
    """A folder of at most `limit` bytes, least recently used files evicted first. Safe for several threads and pods."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._added: int | None = None  # bytes since the last eviction
        self._broken = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Return the administrator's cache: VOTT_IMAGE_CACHE names the folder, VOTT_IMAGE_CACHE_BYTES its limit.

        Raises:
            InvalidParametersError: the limit is not a number of bytes.
        """
        if not (folder := environment.get("VOTT_IMAGE_CACHE")):
            return None
        limit = environment.get("VOTT_IMAGE_CACHE_BYTES")
        return cls(Path(folder), _bytes(limit) if limit else DEFAULT_LIMIT)

    def find(self, url: str) -> Entry | None:
        """Return the entry of a URL; None if there is none or it is damaged."""
        with _damage_ignored():
            entry = Entry(**json.loads(self._link(url).read_bytes()))
            return entry if entry.is_valid() else None
        return None

    def copy(self, url: str, entry: Entry, to: Path) -> bool:
        """Copy the content to `to`. If it is missing or damaged, delete it and return False."""
        content, link = self._content(entry.sha256), self._link(url)
        with _damage_ignored(), content.open("rb") as source, to.open("wb") as target:
            if _copy(source, target) == entry.sha256:
                _touch(content, link)
                return True
            content.unlink()
        return False

    def add(self, url: str, path: Path, headers: Mapping[str, str]) -> None:
        """Add a file downloaded from `url` if the response's headers allow a conditional request later."""
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        if self._broken or not (etag or modified) or "no-store" in headers.get("Cache-Control", "").lower():
            return
        try:
            self._add(url, path, etag, modified)
        except OSError as error:
            self._broken = True
            log.warning(
                "the image cache %s can't be written, no more images are added: %s", self._folder, error.strerror
            )

    def _add(self, url: str, path: Path, etag: str, modified: str) -> None:
        with path.open("rb") as file:
            entry = Entry(hashlib.file_digest(file, "sha256").hexdigest(), etag, modified)
        if (content := self._content(entry.sha256)).exists():
            _touch(content)
        else:
            self._reserve(path.stat().st_size)
            with _write(content) as target, path.open("rb") as source:
                shutil.copyfileobj(source, target, CHUNK)
        with _write(self._link(url)) as target:
            target.write(json.dumps(asdict(entry)).encode())

    def _reserve(self, size: int) -> None:
        """Evict before the first addition and after each twentieth of the limit, because other pods add files too."""
        step, needed = self.limit // 20, on_disk(size) + BLOCK  # the link is a file as well
        with self._lock:
            if self._added is None or self._added + needed > step:
                evict(self._folder, self.limit - max(step, needed))
                self._added = 0
            self._added += needed

    def _content(self, sha256: str) -> Path:
        return self._folder / "contents" / sha256[:2] / sha256

    def _link(self, url: str) -> Path:
        key = hashlib.sha256(unsigned_url(url).encode()).hexdigest()
        return self._folder / "links" / key[:2] / key


def evict(folder: Path, limit: int) -> None:
    """Delete the least recently used files until at most `limit` bytes remain and enough of the disk is free."""
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


def on_disk(size: int) -> int:
    """Return the bytes on disk of a file of `size` bytes."""
    return -(-size // BLOCK) * BLOCK


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield time of last use, bytes on disk and path of each file; other pods may delete files meanwhile."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield status.st_mtime, on_disk(status.st_size), path


def _damage_ignored() -> contextlib.suppress:
    """Treat a damaged entry as missing."""
    return contextlib.suppress(OSError, ValueError, TypeError)


def _touch(*files: Path) -> None:
    for file in files:
        with contextlib.suppress(OSError):  # deleted, or owned by another user
            os.utime(file)


def _write(path: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return atomic_write(path, unique=True)


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy, and return the content's SHA-256."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _bytes(text: str) -> int:
    if not text.isdecimal():
        raise InvalidParametersError(f"VOTT_IMAGE_CACHE_BYTES: expected a number of bytes, found {text[:40]!r}.")
    return int(text)
