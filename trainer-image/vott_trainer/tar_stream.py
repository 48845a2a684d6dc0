"""Tar archives, plain or with gzip, read as a stream: the sizes in their headers decide neither about memory nor about disk."""

import contextlib
import gzip
import itertools
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAX_HEADER_BYTES = 1 << 16  # of the tar headers before a file; long names take some hundred
BUFFER_BYTES = 1 << 16  # tar reads at once
CHUNK_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
ERRORS = (OSError, tarfile.TarError, EOFError, zlib.error, ValueError, RecursionError)
"""What reading a damaged or hostile archive raises."""


class TooLargeError(tarfile.TarError):
    """The archive exceeds the limits."""


Member = tuple[tarfile.TarInfo, IO[bytes] | None]
"""A member's header, and its content; None for folders, links, devices and files with holes."""


class _Limited:
    """Reads up to `end` only."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.at, self.end = file, 0, MAX_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        if self.at > self.end:
            raise TooLargeError("a part of it is larger than the limits")
        content = self._file.read(size)
        self.at += len(content)
        return content


@contextlib.contextmanager
def members(archive: Path, *, max_bytes: int, max_members: int) -> Iterator[Iterator[Member]]:
    """Open an archive to iterate over its members; each content must be read before the next one. The end is read too, with gzip's checksum.

    Args:
        max_bytes: of all members together, unpacked.

    Raises:
        One of ERRORS, for a damaged archive and beyond the limits.
    """
    with archive.open("rb") as file:
        packed = gzip.GzipFile(fileobj=file) if file.read(len(GZIP)) == GZIP else file
        file.seek(0)
        limited = _Limited(packed)  # type: ignore[arg-type]
        # As a stream ("r|"): tar must not seek back, for which gzip decompresses from the start.
        with tarfile.open(fileobj=limited, mode="r|", bufsize=BUFFER_BYTES) as tar:  # type: ignore[call-overload]
            yield _members(limited, tar, max_bytes, max_members)
            limited.end = limited.at + max_bytes
            while limited.read(CHUNK_BYTES):
                pass


def _members(limited: _Limited, tar: tarfile.TarFile, max_bytes: int, max_members: int) -> Iterator[Member]:
    remaining = max_bytes
    for count in itertools.count(1):
        limited.end = tar.offset + MAX_HEADER_BYTES
        if (member := tar.next()) is None:
            if limited.at < tar.offset + tarfile.BLOCKSIZE:  # the end is an empty block
                raise tarfile.TarError("it has no end")
            return
        remaining -= member.size
        if count > max_members or member.size < 0 or remaining < 0:
            raise TooLargeError(f"it holds more than {max_members:,} files or {max_bytes >> 30} GiB")
        limited.end = tar.offset
        plain = member.isfile() and not member.issparse()
        yield member, tar.extractfile(member) if plain else None
