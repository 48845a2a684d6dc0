"""A folder as a store: complete files or none, and errors of the disk."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.folder import FolderStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "place" / "of the" / "checkpoints")


def test_stored_file_is_read_until_it_is_deleted(store: FolderStore, file: Path, tmp_path: Path) -> None:
    stored = store.put(file, "7/a.ckpt")
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(b"weights").hexdigest(), 7)
    copy = tmp_path / "copy"
    assert store.get("7/a.ckpt", copy)
    assert copy.read_bytes() == b"weights"
    store.delete("7/a.ckpt")
    assert not store.get("7/a.ckpt", copy)
    assert list(store.folder.iterdir()) == []


def test_version_changes_when_the_same_file_is_put_again(store: FolderStore, file: Path) -> None:
    assert store.version("7/a.ckpt") is None
    store.put(file, "7/a.ckpt")
    first = store.version("7/a.ckpt")
    assert first
    assert first == store.version("7/a.ckpt")
    store.put(file, "7/a.ckpt")
    assert store.version("7/a.ckpt") != first


def test_deleting_a_missing_file_succeeds(store: FolderStore) -> None:
    store.delete("7/a.ckpt")


def test_subfolder_with_other_files_is_kept(store: FolderStore, file: Path) -> None:
    store.put(file, "7/a.ckpt")
    store.put(file, "7/b.ckpt")
    store.delete("7/a.ckpt")
    assert [path.name for path in (store.folder / "7").iterdir()] == ["b.ckpt"]


def test_second_file_replaces_the_first(store: FolderStore, file: Path) -> None:
    store.put(file, "a")
    file.write_bytes(b"better")
    store.put(file, "a")
    assert (store.folder / "a").read_bytes() == b"better"


def test_full_disk_is_reported_and_leaves_the_previous_file_intact(
    store: FolderStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(file, "a")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    file.write_bytes(b"better")
    with pytest.raises(UploadRefusedError, match="can't be written: No space left on device") as error:
        store.put(file, "a")
    assert str(store.folder) in str(error.value)
    assert [path.name for path in store.folder.iterdir()] == ["a"]
    assert (store.folder / "a").read_bytes() == b"weights"


def test_path_that_is_not_a_folder_is_reported(file: Path) -> None:
    with pytest.raises(UploadRefusedError, match="can't be written: Not a directory"):
        FolderStore(file).put(file, "a/b")
