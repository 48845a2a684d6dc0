"""A store limited to a prefix of another store."""

from dataclasses import dataclass
from pathlib import Path

from vott_trainer.stores.store import Store, StoredObject


@dataclass(frozen=True)
class PrefixedStore:
    """The objects below `prefix` in a store."""

    store: Store
    prefix: str

    @property
    def location(self) -> str:
        """URL without query, or path."""
        return f"{self.store.location}/{self.prefix}"

    def url_of(self, name: str) -> str:
        """Return the URL, without query, of an object."""
        return self.store.url_of(f"{self.prefix}/{name}")

    def put(self, file: Path, name: str) -> StoredObject:
        """Store a file."""
        return self.store.put(file, f"{self.prefix}/{name}")

    def get(self, name: str, file: Path) -> bool:
        """Write an object to `file`; False if there is none."""
        return self.store.get(f"{self.prefix}/{name}", file)

    def version(self, name: str) -> str | None:
        """Return a version that changes with each write of an object; None without an object."""
        return self.store.version(f"{self.prefix}/{name}")

    def delete(self, name: str) -> None:
        """Delete an object; not found is success."""
        self.store.delete(f"{self.prefix}/{name}")
