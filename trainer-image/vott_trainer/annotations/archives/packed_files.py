"""The files in an archive, one by one, whatever its type."""

import contextlib
import errno
import functools
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vott_trainer import tar_stream
from vott_trainer.annotations import limits
from vott_trainer.annotations.archives.file_types import Archive
from vott_trainer.annotations.model import FormatError, LimitExceededError

COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others take much memory, or are not Python's
OTHER_COMPRESSIONS = {
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "Zstandard",
    95: "xz",
    98: "PPMd",
    99: "AES encryption",
}
ENCRYPTED = 0x1  # flags of a file
UTF8 = 0x800
OTHER_NAMES = "cp437"
"""The encoding in which names that are not UTF-8 are read: it has a character for each byte, so that nothing is lost."""
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)
OTHER_ERRORS = {
    None,
    errno.EINVAL,
}  # of the operating system, that damage causes: a place in the file that does not exist


@dataclass(frozen=True)
class PackedFile:
    """A file of an archive with its size, unpacked; `open` is None for a link, a device and the like."""

    name: str
    size: int
    open: Callable[[], IO[bytes]] | None


@contextlib.contextmanager
def packed_files(archive: Path, kind: Archive) -> Iterator[Iterator[PackedFile]]:
    """Open an archive to iterate over its files, without folders; each must be read before the next.

    Raises:
        FormatError: it is damaged or encrypted, or compressed in a way that is not read.
        LimitExceededError: its parts exceed the limits.
    """
    with _zip(archive) if kind == "zip" else _tar(archive) as files:
        yield files


class _DirectoryLimit(io.FileIO):
    """A ZIP archive's list of files is read at once: its size must not decide how much memory is taken."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > limits.MAX_DIRECTORY_BYTES:
            raise LimitExceededError(f"has a list of files of more than {limits.MAX_DIRECTORY_BYTES >> 20} MiB")
        return super().read(size)


@contextlib.contextmanager
def _zip(archive: Path) -> Iterator[Iterator[PackedFile]]:
    try:
        with _DirectoryLimit(archive) as file, zipfile.ZipFile(file) as opened:
            yield (_in_zip(opened, info) for info in opened.infolist() if not info.is_dir())
    except DAMAGE as error:
        if _is_no_damage(error):
            raise
        raise FormatError(f"is a damaged ZIP archive, perhaps only a part of one ({_one_line(error)})") from error


def _in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> PackedFile:
    name = _zip_name(info)
    if info.flag_bits & ENCRYPTED:
        raise FormatError("is encrypted: pack the files without a password")
    if info.compress_type not in COMPRESSIONS:
        used = OTHER_COMPRESSIONS.get(info.compress_type, f"method {info.compress_type}")
        raise FormatError(
            f"is compressed with {used}: pack the files with the usual compression (Deflate), or as .tar.gz"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where a tool does not say
    return PackedFile(
        name, info.file_size, functools.partial(archive.open, info) if kind in (0, stat.S_IFREG) else None
    )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return a file's name; macOS and others write UTF-8 without saying so."""
    return info.filename if info.flag_bits & UTF8 else _decoded(info.filename.encode(OTHER_NAMES))


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode(OTHER_NAMES)


@contextlib.contextmanager
def _tar(archive: Path) -> Iterator[Iterator[PackedFile]]:
    try:
        with tar_stream.members(archive, max_bytes=limits.MAX_UNPACKED_BYTES, max_members=limits.MAX_FILES) as members:
            yield (_in_tar(info, content) for info, content in members if not info.isdir())
    except tar_stream.TooLargeError as error:
        raise LimitExceededError(f"is a tar archive, but {error}") from error
    except tar_stream.ERRORS as error:
        if _is_no_damage(error):
            raise
        raise FormatError(f"is a damaged tar archive, perhaps only a part of one ({_one_line(error)})") from error


def _in_tar(info: tarfile.TarInfo, content: IO[bytes] | None) -> PackedFile:
    name = _decoded(info.name.encode(errors="surrogateescape"))
    return PackedFile(name, info.size, (lambda: content) if content else None)


def _is_no_damage(error: Exception) -> bool:
    """Whether an error has its own cause, such as a full disk."""
    return isinstance(error, FormatError) or (isinstance(error, OSError) and error.errno not in OTHER_ERRORS)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
