"""The model's way into a real store: every kind of link, and what is said of those that do not work."""

import hashlib
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from tests.integration.trainer.conftest import Store
from vott_trainer.destination import StorageAccess, resolve
from vott_trainer.errors import TemporaryFailureError, UploadRefusedError
from vott_trainer.upload import upload

CONTENT = b"weights" * 1000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.tgz"
    path.write_bytes(CONTENT)
    return path


def stored(container: ContainerClient, name: str) -> bytes:
    return container.download_blob(name).readall()


@pytest.mark.parametrize(("prefix", "name"), [("", "model.tgz"), ("/cats/1", "cats/1/model.tgz"), ("/7.tgz", "7.tgz")])
def test_container_link_takes_the_model(
    prefix: str, name: str, store: Store, container: ContainerClient, archive: Path
) -> None:
    model = upload(archive, resolve(store.container_link(container, prefix), StorageAccess()))
    assert stored(container, name) == CONTENT
    assert model.url == f"{container.url}/{name}"
    assert (model.sha256, model.size_bytes) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def test_write_only_blob_link_takes_the_model_exactly_there(
    store: Store, container: ContainerClient, archive: Path
) -> None:
    upload(archive, resolve(store.blob_link(container, "id.tgz", permissions="w"), StorageAccess()))
    assert [blob.name for blob in container.list_blobs()] == ["id.tgz"]
    assert stored(container, "id.tgz") == CONTENT


def test_blob_link_needs_no_ending(store: Store, container: ContainerClient, archive: Path) -> None:
    upload(archive, resolve(store.blob_link(container, "my model"), StorageAccess()))
    assert stored(container, "my model") == CONTENT


def test_second_attempt_replaces_the_first_ones_model(store: Store, container: ContainerClient, archive: Path) -> None:
    blob = resolve(store.container_link(container), StorageAccess())
    upload(archive, blob)
    archive.write_bytes(b"better")
    upload(archive, blob)
    assert stored(container, "model.tgz") == b"better"


def test_administrators_account_takes_the_model_without_a_sas(
    store: Store, container: ContainerClient, archive: Path
) -> None:
    access = StorageAccess(store.connection_string, frozenset([container.container_name]))
    upload(archive, resolve(container.url, access))
    assert stored(container, "model.tgz") == CONTENT


def test_model_larger_than_one_request_arrives_whole(store: Store, container: ContainerClient, archive: Path) -> None:
    content = bytes(range(256)) * (70 << 12)  # 70 MiB: the client sends blocks above 64 MiB
    archive.write_bytes(content)
    model = upload(archive, resolve(store.container_link(container), StorageAccess()))
    assert hashlib.sha256(stored(container, "model.tgz")).hexdigest() == model.sha256


def refusal(link: str, archive: Path) -> str:
    with pytest.raises(UploadRefusedError) as error:
        upload(archive, resolve(link, StorageAccess()))
    return str(error.value)


def test_missing_container_is_said(store: Store, container: ContainerClient, archive: Path) -> None:
    link = store.container_link(container)
    container.delete_container()
    said = refusal(link, archive)
    assert "HTTP 404 ContainerNotFound. The container does not exist." in said
    assert "sig=" not in said


def test_wrong_signature_is_said(store: Store, container: ContainerClient, archive: Path) -> None:
    said = refusal(store.container_link(container) + "AAAA", archive)
    assert "HTTP 403" in said
    assert "Make a new link with write permission and send the message again." in said


def test_link_that_may_only_create_does_not_replace_a_model(
    store: Store, container: ContainerClient, archive: Path
) -> None:
    blob = resolve(store.blob_link(container, "id.tgz", permissions="c"), StorageAccess())
    upload(archive, blob)
    with pytest.raises(UploadRefusedError, match="may not replace a blob that exists"):
        upload(archive, blob)


def test_store_that_does_not_answer_is_a_passing_fault(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure.core.pipeline.transport.RequestsTransport.sleep", lambda *_: None)
    blob = resolve("http://127.0.0.1:9/account/models?sp=w&sig=x", StorageAccess())
    with pytest.raises(TemporaryFailureError, match="no answer"):
        upload(archive, blob)
