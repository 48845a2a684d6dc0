"""Delivery to a destination: one archive, or single files with a manifest."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from vott_trainer.stores.destination import Destination
from vott_trainer.stores.folder import FolderStore


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "tensorboard").mkdir(parents=True)
    (folder / "labels.txt").write_text("cat\n")
    (folder / "report.html").write_text("<p>Fine.</p>")
    (folder / "tensorboard" / "events").write_bytes(b"\0")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("name", "expected"), [("model.tgz", "model.tgz"), ("", "manifest.json")])
def test_model_is_found_without_leaving_the_download_on_disk(
    name: str, expected: str, model: Path, tmp_path: Path
) -> None:
    (work := tmp_path / "work").mkdir()
    destination = Destination(FolderStore(tmp_path / "store"), name)
    assert destination.find(work) is None
    uploaded = destination.deliver(model, tmp_path)
    assert destination.find(work) == uploaded
    assert uploaded.url == destination.url == (tmp_path / "store" / expected).as_uri()
    assert list(work.iterdir()) == []


def test_report_is_put_beside_the_archive_and_in_it(model: Path, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    uploaded = Destination(store, "model.tgz", is_prefix=True).deliver(model, tmp_path)
    assert names(store.folder) == ["model.tgz", "report.html"]
    assert uploaded.url == (store.folder / "model.tgz").as_uri()
    with tarfile.open(store.folder / "model.tgz") as archive:
        assert archive.getnames() == names(model)


def test_destination_of_one_object_gets_the_archive_alone(model: Path, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    Destination(store, "id.tgz").deliver(model, tmp_path)
    assert names(store.folder) == ["id.tgz"]


def test_manifest_names_every_single_file(model: Path, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    uploaded = Destination(store, "").deliver(model, tmp_path)
    assert names(store.folder) == sorted([*names(model), "manifest.json"])
    manifest = json.loads((store.folder / "manifest.json").read_text())
    assert [file["name"] for file in manifest["files"]] == names(model)
    assert manifest["files"][0] == {
        "name": "labels.txt",
        "sha256": hashlib.sha256(b"cat\n").hexdigest(),
        "sizeBytes": 4,
    }
    assert uploaded.url.endswith("/manifest.json")
    assert uploaded.size_bytes == (store.folder / "manifest.json").stat().st_size


@pytest.mark.parametrize("name", ["model.tgz", ""])
def test_delivered_model_is_found(name: str, model: Path, tmp_path: Path) -> None:
    destination = Destination(FolderStore(tmp_path / "store"), name)
    assert destination.find(tmp_path) is None
    uploaded = destination.deliver(model, tmp_path)
    found = destination.find(tmp_path)
    assert found is not None
    assert (found.sha256, found.size_bytes) == (uploaded.sha256, uploaded.size_bytes)
