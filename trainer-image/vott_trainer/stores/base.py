"""What every store can do."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from vott_trainer.errors import InvalidURLError

LARGEST = 64 << 30  # bytes that are read from a store; what it offers beyond is no model


@dataclass(frozen=True)
class StoredObject:
    """An object that was stored and verified: its URL without a query, lower-case hex SHA-256, size in bytes."""

    url: str
    sha256: str
    size_bytes: int


class Store(Protocol):
    """A container, bucket or folder with a prefix; or a link, which takes one object.

    All methods raise UploadRefusedError where the store refuses, TemporaryFailureError where it does not answer after all attempts, and
    AddressRefusedError where a link of a message's leads to where the administrator's rules do not allow.
    """

    @property
    def shown(self) -> str:
        """Its URL, fit to be printed."""

    def url_of(self, name: str) -> str:
        """Return where the object of that name lies, or would, fit to be printed."""

    def put(self, file: Path, name: str) -> StoredObject:
        """Store a file under `name` below the prefix, atomically, replacing what is there; return it once it is verified."""

    def get(self, name: str, file: Path) -> bool:
        """Write the object of that name to `file`, atomically; False where there is none."""

    def version(self, name: str) -> str | None:
        """Return what changes whenever the object of that name is written: empty where the store does not tell, None where there is none."""

    def delete(self, name: str) -> None:
        """Remove the object of that name, if it is there."""


def plain_names(path: str) -> bool:
    """Return whether no part of the path (percent-decoded) is empty, `.` or `..`, and none has control characters.

    Clients and servers resolve the former, and would leave what was checked; a bucket's client takes none of the latter.
    Azure takes a backslash for a slash.
    """
    return not {"", ".", ".."} & set(re.split(r"[/\\]", path)) and not re.search(r"[\x00-\x1f\x7f]", path)


def checked_name(name: str) -> str:
    """Return the name of an object below a prefix: the last look before it becomes part of a request.

    Raises:
        InvalidURLError: it would lead to elsewhere.
    """
    if not plain_names(name):
        raise InvalidURLError(f"{name!r} is no name for an object: it has empty parts, dots or control characters.")
    return name


def partial_of(file: Path) -> Path:
    """Return where a file is written before it appears under its name."""
    return file.with_name(f"{file.name}.partial")


@contextlib.contextmanager
def written_whole(file: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when all of it is written."""
    partial = partial_of(file)
    try:
        with partial.open("wb") as opened:
            yield opened
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
