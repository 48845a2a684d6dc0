"""The model archive (.tgz): pack it reproducibly, and unpack it within limits of size and count.

The same files give the same bytes, so that equal digests mean equal models.
"""

import contextlib
import gzip
import itertools
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vott_trainer.errors import UsageError

MAX_BYTES = 8 << 30  # of all files together, unpacked
MAX_FILES = 10_000
MAX_HEADER_BYTES = 1 << 16  # of the tar headers before a file; long names take some hundred
BUFFER_BYTES = 1 << 16  # tar reads at once
CHUNK_BYTES = 1 << 20
COMPRESSION_LEVEL = 1  # weights hardly compress, and the other files are small
_TOO_LARGE = f"it holds more than {MAX_FILES:,} files or {MAX_BYTES >> 30} GiB"


def pack(folder: Path, archive: Path) -> None:
    """Write the files of `folder` to a .tgz: sorted, without times, owners and file modes."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", COMPRESSION_LEVEL, file, mtime=0) as packed,
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
        UsageError: the archive is missing or damaged, leads out of the folder, or exceeds the limits.
    """
    with _open(archive) as members:
        for member, content in members:
            path = (folder / member.name).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise tarfile.TarError(f"it holds {member.name}, which is outside")
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(content, path)


def extract_file(archive: Path, name: str, path: Path) -> None:
    """Write the file `name` of a model archive to `path`.

    Raises:
        UsageError: the archive is missing or damaged, has no such file, or exceeds the limits.
    """
    with _open(archive) as members:
        for member, content in members:
            if member.name == name:
                _write(content, path)
                return
        raise tarfile.TarError(f"it holds no {name}")


class _LimitedGzip(gzip.GzipFile):
    """Reads up to `end` only: the sizes in an archive's headers must not decide how much memory or disk is taken."""

    at, end = 0, MAX_HEADER_BYTES

    def read(self, size: int | None = -1) -> bytes:
        if self.at > self.end:
            raise tarfile.TarError("a part of it is larger than the limits")
        content = super().read(size)
        self.at += len(content)
        return content


@contextlib.contextmanager
def _open(archive: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    try:
        # As a stream ("r|"): tar must not seek back, for which gzip decompresses from the start.
        with _LimitedGzip(archive) as packed, tarfile.open(fileobj=packed, mode="r|", bufsize=BUFFER_BYTES) as tar:
            yield _files(packed, tar)
            packed.end = packed.at + MAX_BYTES
            while packed.read(CHUNK_BYTES):
                pass  # gzip compares its checksum at the end
    except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise UsageError(f"{archive} can't be read as a model archive (.tgz): {error}.") from error


def _files(packed: _LimitedGzip, tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield the regular files; each must be read before the next."""
    remaining = MAX_BYTES
    for count in itertools.count(1):
        packed.end = tar.offset + MAX_HEADER_BYTES
        if (member := tar.next()) is None:
            return
        remaining -= member.size
        if count > MAX_FILES or member.size < 0 or remaining < 0:
            raise tarfile.TarError(_TOO_LARGE)
        packed.end = tar.offset
        if member.isfile() and not member.issparse() and (content := tar.extractfile(member)):
            yield member, content


def _write(content: IO[bytes], path: Path) -> None:
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
