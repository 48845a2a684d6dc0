"""Which type of archive a file is, by its first bytes."""

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import Literal

from vott_trainer.annotations.model import FormatError
from vott_trainer.tar_stream import GZIP

Archive = Literal["zip", "tar"]

OTHER_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}  # by their first bytes
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the latter of an empty one


def archive_type(path: Path) -> Archive | None:
    """Return the type of an archive that is read here, None if the file is none.

    Raises:
        FormatError: it is an archive of another type, or a single compressed file.
    """
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    if head.startswith(ZIP):
        return "zip"
    if head.startswith(GZIP):
        if not _is_tar(_decompressed(path)):
            raise FormatError("is compressed with gzip, but no .tar.gz archive: decompress it")
        return "tar"
    for start, name in OTHER_ARCHIVES.items():
        if head.startswith(start):
            raise FormatError(f"is a {name} archive: pack its files as .zip or .tar.gz")
    return "tar" if _is_tar(head) else None


def _is_tar(block: bytes) -> bool:
    """Whether a block is a member's header: its checksum is right."""
    try:
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _decompressed(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read(tarfile.BLOCKSIZE)
    except (OSError, EOFError, zlib.error):
        return b""
