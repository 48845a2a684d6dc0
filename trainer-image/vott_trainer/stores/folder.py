"""A folder, such as a mounted volume."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.base import StoredObject, partial_of, written_whole
from vott_trainer.stores.messages import not_what_was_sent

CHUNK = 1 << 20


@dataclass(frozen=True)
class FolderStore:
    """Files below a folder, which is made where it is missing."""

    folder: Path

    @property
    def shown(self) -> str:
        """Its path."""
        return str(self.folder)

    def url_of(self, name: str) -> str:
        """Return where the file of that name lies."""
        return (self.folder / name).as_uri()

    def put(self, file: Path, name: str) -> StoredObject:
        """Copy a file onto the disk, not only into its cache, then read it back."""
        target = self.folder / name
        with self._in_words("written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            sha256 = _copy(file, target)
            stored, size = target.stat().st_size, file.stat().st_size
        if stored != size:
            raise not_what_was_sent(str(target))
        return StoredObject(self.url_of(name), sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Copy a file from there; False where there is none."""
        with self._in_words("read"):
            try:
                source = (self.folder / name).open("rb")
            except FileNotFoundError:
                return False
            with source, written_whole(file) as target:
                shutil.copyfileobj(source, target, CHUNK)
        return True

    def version(self, name: str) -> str | None:
        """Return the inode and time of a file; None where there is none."""
        with self._in_words("read"):
            try:
                found = (self.folder / name).stat()
            except FileNotFoundError:
                return None
        return f"{found.st_ino} {found.st_mtime_ns}"

    def delete(self, name: str) -> None:
        """Remove a file, and with the last one the folder that `put` made for them."""
        with self._in_words("cleared"):
            for path in (self.folder / name, partial_of(self.folder / name)):  # a killed writer leaves the latter
                path.unlink(missing_ok=True)
        folder = (self.folder / name).parent
        if folder != self.folder:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()

    @contextlib.contextmanager
    def _in_words(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UploadRefusedError(
                f"The folder {self.folder} can't be {doing}: {error.strerror}. Ask the administrator to make room or to give access."
            ) from error


def _copy(source: Path, target: Path) -> str:
    """Return the SHA-256 of what was copied, once the disk has it."""
    sha256 = hashlib.sha256()
    with source.open("rb") as opened, written_whole(target) as copy:
        while chunk := opened.read(CHUNK):
            sha256.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return sha256.hexdigest()
