"""A folder as a store, such as a mounted volume."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vott_trainer.atomic_write import atomic_write, partial_path
from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.store import StoredObject
from vott_trainer.stores.store_errors import verification_failed

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class FolderStore:
    """Files below a folder, which is created if missing."""

    folder: Path

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def url_of(self, name: str) -> str:
        """Return a file's URL."""
        return (self.folder / name).as_uri()

    def put(self, file: Path, name: str) -> StoredObject:
        """Copy a file into the folder, synced to disk."""
        target = self.folder / name
        with self._translated_errors("written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            sha256 = _copy(file, target)
            stored, size = target.stat().st_size, file.stat().st_size
        if stored != size:
            raise verification_failed(str(target))
        return StoredObject(self.url_of(name), sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Copy a file out of the folder; False if there is none."""
        with self._translated_errors("read"):
            try:
                source = (self.folder / name).open("rb")
            except FileNotFoundError:
                return False
            with source, atomic_write(file) as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
        return True

    def version(self, name: str) -> str | None:
        """Return a file's inode and modification time; None without a file."""
        with self._translated_errors("read"):
            try:
                found = (self.folder / name).stat()
            except FileNotFoundError:
                return None
        return f"{found.st_ino} {found.st_mtime_ns}"

    def delete(self, name: str) -> None:
        """Delete a file, and its folder if it was the last and `put` created the folder."""
        with self._translated_errors("cleared"):
            for path in (self.folder / name, partial_path(self.folder / name)):  # a killed writer leaves a partial file
                path.unlink(missing_ok=True)
        folder = (self.folder / name).parent
        if folder != self.folder:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()

    @contextlib.contextmanager
    def _translated_errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UploadRefusedError(
                f"The folder {self.folder} can't be {action}: {error.strerror}. "
                "Ask the administrator to free space or to grant access."
            ) from error


def _copy(source: Path, target: Path) -> str:
    """Copy a file and sync it to disk; return its SHA-256."""
    sha256 = hashlib.sha256()
    with source.open("rb") as opened, atomic_write(target) as copy:
        while chunk := opened.read(CHUNK_BYTES):
            sha256.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return sha256.hexdigest()
