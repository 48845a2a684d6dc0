"""A part of another store."""

from dataclasses import dataclass
from pathlib import Path

from vott_trainer.stores.base import Store, StoredObject


@dataclass(frozen=True)
class Below:
    """What lies below `prefix` in a store."""

    store: Store
    prefix: str

    @property
    def shown(self) -> str:
        """Its URL, fit to be printed."""
        return f"{self.store.shown}/{self.prefix}"

    def url_of(self, name: str) -> str:
        """Return where the object of that name lies."""
        return self.store.url_of(f"{self.prefix}/{name}")

    def put(self, file: Path, name: str) -> StoredObject:
        """Store a file."""
        return self.store.put(file, f"{self.prefix}/{name}")

    def get(self, name: str, file: Path) -> bool:
        """Write the object of that name to `file`; False where there is none."""
        return self.store.get(f"{self.prefix}/{name}", file)

    def version(self, name: str) -> str | None:
        """Return what changes whenever the object is written; None where there is none."""
        return self.store.version(f"{self.prefix}/{name}")

    def delete(self, name: str) -> None:
        """Remove the object of that name, if it is there."""
        self.store.delete(f"{self.prefix}/{name}")
