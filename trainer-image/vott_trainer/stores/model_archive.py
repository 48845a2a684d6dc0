"""The model archive (.tgz): pack it reproducibly, and unpack it within limits of size and count.

The same files give the same bytes, so that equal digests mean equal models.
"""

import contextlib
import gzip
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vott_trainer import tar_stream
from vott_trainer.errors import UsageError

MAX_BYTES = 8 << 30  # of all files together, unpacked
MAX_FILES = 10_000
COMPRESSION_LEVEL = 1  # weights hardly compress, and the other files are small


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


@contextlib.contextmanager
def _open(archive: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    """Iterate over the regular files; each must be read before the next."""
    try:
        with tar_stream.members(archive, max_bytes=MAX_BYTES, max_members=MAX_FILES) as members:
            yield ((member, content) for member, content in members if content)
    except tar_stream.ERRORS as error:
        raise UsageError(f"{archive} can't be read as a model archive (.tgz): {error}.") from error


def _write(content: IO[bytes], path: Path) -> None:
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
