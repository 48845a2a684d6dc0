"""The model archive: the same files give the same bytes, so that a digest says whether two models are one."""

import contextlib
import gzip
import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from vott_trainer.errors import UsageError

CHUNK = 1 << 20
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
    """Unpack the files of a model archive into `folder`; entries that point outside of it are refused, links left out.

    Raises:
        UsageError: the file does not exist or is no model archive.
    """
    with _opened(archive) as tar:
        for member in tar:
            if member.isfile():  # tarfile's own filters came with Python 3.11.4
                path = (folder / member.name).resolve()
                if not path.is_relative_to(folder.resolve()):
                    raise tarfile.TarError(f"it holds {member.name}, which is outside")
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(tar, member, path)


def take(archive: Path, name: str, path: Path) -> None:
    """Write the file `name` of a model archive to `path`.

    Raises:
        UsageError: the file does not exist, is no model archive or has no such file in it.
    """
    with _opened(archive) as tar:
        for member in tar:
            if member.name == name:
                _write(tar, member, path)
                return
        raise tarfile.TarError(f"it holds no {name}")


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r:") as tar:
            yield tar
            while packed.read(CHUNK):
                pass  # gzip compares its checksum at the end
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise UsageError(f"{archive} can't be read as a model archive (.tgz): {error}.") from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.TarError(f"{member.name} is no file")
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
