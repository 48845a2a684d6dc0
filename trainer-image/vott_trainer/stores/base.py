"""What every store can do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """An object that was stored and verified: its URL without a query, lower-case hex SHA-256, size in bytes."""

    url: str
    sha256: str
    size_bytes: int


class Store(Protocol):
    """A container, bucket or folder with a prefix. `shown` is its URL, fit to be printed.

    All methods raise UploadRefusedError where the store refuses, and TemporaryFailureError where it does not answer after all attempts.
    """

    shown: str

    def put(self, file: Path, name: str) -> StoredObject:
        """Store a file under `name` below the prefix, atomically, replacing what is there; return it once it is verified."""

    def get(self, name: str, file: Path) -> bool:
        """Write the object of that name to `file`, atomically; False where there is none."""

    def delete(self, name: str) -> None:
        """Remove the object of that name, if it is there."""
