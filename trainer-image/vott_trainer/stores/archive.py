"""The model archive: the same files give the same bytes, so that a digest says whether two models are one."""

import contextlib
import gzip
import hashlib
import itertools
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vott_trainer.errors import UsageError

CHUNK = 1 << 20
MOST_BYTES = 8 << 30  # of all files together, unpacked
MOST_FILES = 10_000
MOST_OF_HEADER = 1 << 16  # bytes of what tar says before a file; long names take some hundred
BUFFER = 1 << 16  # bytes read at once
_TOO_LARGE = f"it holds more than {MOST_FILES:,} files or {MOST_BYTES >> 30} GiB"
COMPRESSION = 1  # weights hardly compress; the rest is small


def pack(folder: Path, archive: Path) -> None:
    """Write the files of `folder` to a .tgz: sorted, without times, owners or machine-dependent modes."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            _add(tar, path, path.relative_to(folder).as_posix())


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = path.stat().st_size, 0o644
    with path.open("rb") as file:
        tar.addfile(info, file)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the files of a model archive into `folder`; links, devices and the like are left out.

    Raises:
        UsageError: the file does not exist, is no model archive, points outside of the folder or is larger than the limits.
    """
    with _members(archive) as members:
        for member, content in members:
            path = (folder / member.name).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise tarfile.TarError(f"it holds {member.name}, which is outside")
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(content, path)


def take(archive: Path, name: str, path: Path) -> None:
    """Write the file `name` of a model archive to `path`.

    Raises:
        UsageError: the file does not exist, is no model archive, has no such file in it or is larger than the limits.
    """
    with _members(archive) as members:
        for member, content in members:
            if member.name == name:
                _write(content, path)
                return
        raise tarfile.TarError(f"it holds no {name}")


class _Packed(gzip.GzipFile):
    """Is read up to `end` only: what a file says of its own size is no reason to take so much memory or disk."""

    at, end = 0, MOST_OF_HEADER

    def read(self, size: int | None = -1) -> bytes:
        if self.at > self.end:
            raise tarfile.TarError("a part of it is larger than the limits")
        content = super().read(size)
        self.at += len(content)
        return content


@contextlib.contextmanager
def _members(archive: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    try:
        # As a stream ("|"): it never seeks back, for which gzip would begin anew.
        with _Packed(archive) as packed, tarfile.open(fileobj=packed, mode="r|", bufsize=BUFFER) as tar:
            yield _files(packed, tar)
            packed.end = packed.at + MOST_BYTES
            while packed.read(CHUNK):
                pass  # gzip compares its checksum at the end
    except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise UsageError(f"{archive} can't be read as a model archive (.tgz): {error}.") from error


def _files(packed: _Packed, tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield the files that hold what they say; each has to be read before the next."""
    room = MOST_BYTES
    for count in itertools.count(1):
        packed.end = tar.offset + MOST_OF_HEADER
        if (member := tar.next()) is None:
            return
        room -= member.size
        if count > MOST_FILES or member.size < 0 or room < 0:
            raise tarfile.TarError(_TOO_LARGE)
        packed.end = tar.offset
        if member.isfile() and not member.issparse() and (content := tar.extractfile(member)):
            yield member, content


def _write(content: IO[bytes], path: Path) -> None:
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)


def digests(path: Path) -> tuple[str, bytes]:
    """Return a file's SHA-256 as lower-case hex, and its MD5 as bytes (which is what Azure compares)."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.digest()
