"""The Store interface, and the record of a stored object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MAX_OBJECT_BYTES = 64 << 30  # read from a store; no model is larger


@dataclass(frozen=True)
class StoredObject:
    """A stored and verified object: its URL without query, SHA-256 in lower-case hex, size in bytes."""

    url: str
    sha256: str
    size_bytes: int


class Store(Protocol):
    """A container, bucket or folder, with or without a prefix; or a presigned link, which takes one object.

    All methods raise UploadRefusedError if the store refuses, TemporaryFailureError if it does not answer after all attempts, and
    AddressRefusedError if the administrator's rules forbid the address of a message's link.
    """

    @property
    def location(self) -> str:
        """URL without query, or path."""

    def url_of(self, name: str) -> str:
        """Return the URL, without query, of the object of that name, whether or not it exists."""

    def put(self, file: Path, name: str) -> StoredObject:
        """Store a file as `name` atomically, replacing what is there, and verify it."""

    def get(self, name: str, file: Path) -> bool:
        """Write an object to `file` atomically; False if there is none."""

    def version(self, name: str) -> str | None:
        """Return a version that changes with each write: empty if the store does not report one, None without an object."""

    def delete(self, name: str) -> None:
        """Delete an object; not found is success."""
