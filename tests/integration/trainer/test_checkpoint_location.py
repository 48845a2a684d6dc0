"""Location of checkpoints: the administrator's, or beside the model, or none with the reason; probed before use."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from tests.support.azurite_account import AzuriteAccount, blob_names
from tests.support.s3_server import S3Server
from vott_trainer.errors import InvalidParametersError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.checkpoint_location import checkpoint_store
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.destination_url import resolve
from vott_trainer.stores.store import Store

NO_ACCESS = StorageAccess()
STARTS_OVER = "An interrupted training starts over."


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as running:
        running.bucket("checkpoints")
        yield running


@pytest.fixture
def write_only(account: AzuriteAccount, container: ContainerClient) -> Destination:
    """A destination that permits only the model."""
    return resolve(account.blob_sas_url(container, "id.tgz"), NO_ACCESS)


def check(store: Store | None, tmp_path: Path) -> Store:
    """Check that the store keeps a file and that the probe is gone."""
    assert store is not None
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"weights")
    assert not store.get("probe", copy)
    store.put(source, "0.pt")
    assert store.get("0.pt", copy)
    assert copy.read_bytes() == b"weights"
    return store


@pytest.mark.parametrize("prefix", ["", "/cats", "/cats/", "/cats/id.tgz"])
def test_checkpoints_are_stored_beside_the_model_if_its_url_permits(
    prefix: str, account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    model = resolve(account.container_sas_url(container, prefix, permissions="rcwd"), NO_ACCESS)
    store, sentence = checkpoint_store("", model, NO_ACCESS, key)
    path = f"{prefix.removesuffix('/id.tgz').strip('/')}/.checkpoints/{key}".strip("/")
    check(store, tmp_path)
    assert sentence == f"Checkpoints go to {container.url}/{path}."
    assert blob_names(container) == [f"{path}/0.pt"]


def test_delete_permission_is_not_required(
    account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    model = resolve(account.container_sas_url(container, permissions="rw"), NO_ACCESS)
    store, _ = checkpoint_store("", model, NO_ACCESS, key)
    assert store is not None
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    store.put(source, "0.pt")
    assert blob_names(container) == [f".checkpoints/{key}/0.pt", f".checkpoints/{key}/probe"]


def test_checkpoints_are_stored_beside_the_model_with_the_account_key(
    account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    access = StorageAccess(account.connection_string, frozenset([container.container_name]))
    store, _ = checkpoint_store("", resolve(f"{container.url}/cats", access), access, key)
    check(store, tmp_path)
    assert blob_names(container) == [f"cats/.checkpoints/{key}/0.pt"]


def test_no_checkpoints_with_a_write_only_url(write_only: Destination, key: str) -> None:
    store, sentence = checkpoint_store("", write_only, NO_ACCESS, key)
    assert (store, sentence) == (None, f"The model's link does not permit checkpoints beside the model. {STARTS_OVER}")


def test_missing_read_permission_of_a_stored_access_policy_is_detected(
    account: AzuriteAccount, container: ContainerClient, key: str
) -> None:
    url = account.container_sas_url(container, permissions="cw")
    model = Destination(
        resolve(url, NO_ACCESS).store, "model.tgz", is_prefix=True, readable=True
    )  # a URL with a stored access policy does not list its permissions
    store, sentence = checkpoint_store("", model, NO_ACCESS, key)
    assert store is None
    assert sentence.startswith("No checkpoints can be kept: Reading ")
    assert "HTTP 403" in sentence
    assert sentence.endswith(STARTS_OVER)


def test_administrators_folder_takes_precedence_over_the_models_destination(
    account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    model = resolve(account.container_sas_url(container), NO_ACCESS)
    store, sentence = checkpoint_store(str(tmp_path / "volume"), model, NO_ACCESS, key)
    check(store, tmp_path)
    assert sentence == f"Checkpoints go to {tmp_path}/volume/{key}."
    assert [path.name for path in (tmp_path / "volume" / key).iterdir()] == ["0.pt"]
    assert blob_names(container) == []


def test_administrators_container_need_not_be_listed(
    account: AzuriteAccount, container: ContainerClient, write_only: Destination, key: str, tmp_path: Path
) -> None:
    store, _ = checkpoint_store(f"{container.url}/safe", write_only, StorageAccess(account.connection_string), key)
    check(store, tmp_path)
    assert blob_names(container) == [f"safe/{key}/0.pt"]


def test_administrators_container_may_be_a_sas_url(
    account: AzuriteAccount, container: ContainerClient, write_only: Destination, key: str, tmp_path: Path
) -> None:
    store, sentence = checkpoint_store(
        account.container_sas_url(container, permissions="rwd"), write_only, NO_ACCESS, key
    )
    check(store, tmp_path)
    assert blob_names(container) == [f"{key}/0.pt"]
    assert "sig=" not in sentence


@pytest.mark.parametrize("form", ["s3://checkpoints/{0}", "{1}/checkpoints/{0}/"])
def test_administrators_bucket_need_not_be_listed(
    form: str, s3_server: S3Server, write_only: Destination, key: str, tmp_path: Path
) -> None:
    location = form.format("a", s3_server.url)
    store, _ = checkpoint_store(location, write_only, StorageAccess(environment=s3_server.environment()), key)
    check(store, tmp_path)
    assert f"a/{key}/0.pt" in s3_server.keys_in("checkpoints")


def test_checkpoints_are_stored_without_permission_to_list(
    s3_server: S3Server, write_only: Destination, key: str, tmp_path: Path
) -> None:
    keys = s3_server.user("keeper", allow=["s3:PutObject", "s3:GetObject", "s3:DeleteObject"])
    s3_server.check_permissions(on=True)
    try:
        access = StorageAccess(environment=s3_server.environment(keys))
        store, _ = checkpoint_store("s3://checkpoints", write_only, access, key)
        check(store, tmp_path)
    finally:
        s3_server.check_permissions(on=False)


def test_location_that_refuses_is_reported_and_not_used(
    account: AzuriteAccount, write_only: Destination, key: str
) -> None:
    access = StorageAccess(account.connection_string)
    store, sentence = checkpoint_store(f"{account.service.url}missing", write_only, access, key)
    assert store is None
    assert "HTTP 404 ContainerNotFound. The container or bucket does not exist." in sentence
    assert sentence.endswith(STARTS_OVER)


@pytest.mark.parametrize("location", ["checkpoints", "gs://bucket", "s3:", "ftp://host/x?sig=SECRET"])
def test_invalid_location_is_an_error(location: str, write_only: Destination, key: str) -> None:
    with pytest.raises(
        InvalidParametersError,
        match=r"VOTT_CHECKPOINTS is '.*', which is neither a container's URL nor s3://bucket/prefix nor an absolute path",
    ) as error:
        checkpoint_store(location, write_only, NO_ACCESS, key)
    assert "SECRET" not in str(error.value)
