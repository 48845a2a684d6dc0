"""The place for checkpoints: the administrator's, else beside the model, else none and why; tried out before it counts."""

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

NOTHING = StorageAccess()
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
    """A model that goes where nothing else may go."""
    return resolve(account.blob_sas_url(container, "id.tgz"), NOTHING)


def check(found: Store | None, tmp_path: Path) -> Store:
    """See that the store keeps a file, and that nothing of the trial is left."""
    assert found is not None
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"weights")
    assert not found.get("probe", copy)
    found.put(source, "0.pt")
    assert found.get("0.pt", copy)
    assert copy.read_bytes() == b"weights"
    return found


@pytest.mark.parametrize("prefix", ["", "/cats", "/cats/", "/cats/id.tgz"])
def test_checkpoints_lie_beside_the_model_where_its_link_permits(
    prefix: str, account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    model = resolve(account.container_sas_url(container, prefix, permissions="rcwd"), NOTHING)
    found, sentence = checkpoint_store("", model, NOTHING, key)
    place = f"{prefix.removesuffix('/id.tgz').strip('/')}/.checkpoints/{key}".strip("/")
    check(found, tmp_path)
    assert sentence == f"Checkpoints go to {container.url}/{place}."
    assert blob_names(container) == [f"{place}/0.pt"]


def test_link_that_may_not_delete_is_good_enough(
    account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    model = resolve(account.container_sas_url(container, permissions="rw"), NOTHING)
    found, _ = checkpoint_store("", model, NOTHING, key)
    assert found is not None
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    found.put(source, "0.pt")
    assert blob_names(container) == [f".checkpoints/{key}/0.pt", f".checkpoints/{key}/probe"]


def test_administrators_own_account_keeps_checkpoints_beside_the_model(
    account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    access = StorageAccess(account.connection_string, frozenset([container.container_name]))
    found, _ = checkpoint_store("", resolve(f"{container.url}/cats", access), access, key)
    check(found, tmp_path)
    assert blob_names(container) == [f"cats/.checkpoints/{key}/0.pt"]


def test_write_only_link_makes_an_interrupted_training_start_over(write_only: Destination, key: str) -> None:
    found, sentence = checkpoint_store("", write_only, NOTHING, key)
    assert (found, sentence) == (None, f"The model's link does not permit checkpoints beside the model. {STARTS_OVER}")


def test_link_of_a_stored_access_policy_that_may_not_read_is_found_out(
    account: AzuriteAccount, container: ContainerClient, key: str
) -> None:
    link = account.container_sas_url(container, permissions="cw")
    model = Destination(
        resolve(link, NOTHING).store, "model.tgz", is_prefix=True, readable=True
    )  # as if the link did not say
    found, sentence = checkpoint_store("", model, NOTHING, key)
    assert found is None
    assert sentence.startswith("No checkpoints can be kept: Reading ")
    assert "HTTP 403" in sentence
    assert sentence.endswith(STARTS_OVER)


def test_administrators_folder_comes_before_the_models_place(
    account: AzuriteAccount, container: ContainerClient, key: str, tmp_path: Path
) -> None:
    model = resolve(account.container_sas_url(container), NOTHING)
    found, sentence = checkpoint_store(str(tmp_path / "volume"), model, NOTHING, key)
    check(found, tmp_path)
    assert sentence == f"Checkpoints go to {tmp_path}/volume/{key}."
    assert [path.name for path in (tmp_path / "volume" / key).iterdir()] == ["0.pt"]
    assert blob_names(container) == []


def test_administrators_container_needs_no_listing(
    account: AzuriteAccount, container: ContainerClient, write_only: Destination, key: str, tmp_path: Path
) -> None:
    found, _ = checkpoint_store(f"{container.url}/safe", write_only, StorageAccess(account.connection_string), key)
    check(found, tmp_path)
    assert blob_names(container) == [f"safe/{key}/0.pt"]


def test_administrators_container_may_be_a_link(
    account: AzuriteAccount, container: ContainerClient, write_only: Destination, key: str, tmp_path: Path
) -> None:
    found, sentence = checkpoint_store(
        account.container_sas_url(container, permissions="rwd"), write_only, NOTHING, key
    )
    check(found, tmp_path)
    assert blob_names(container) == [f"{key}/0.pt"]
    assert "sig=" not in sentence


@pytest.mark.parametrize("form", ["s3://checkpoints/{0}", "{1}/checkpoints/{0}/"])
def test_administrators_bucket_needs_no_listing(
    form: str, s3_server: S3Server, write_only: Destination, key: str, tmp_path: Path
) -> None:
    place = form.format("a", s3_server.url)
    found, _ = checkpoint_store(place, write_only, StorageAccess(environment=s3_server.environment()), key)
    check(found, tmp_path)
    assert f"a/{key}/0.pt" in s3_server.keys_in("checkpoints")


def test_identity_that_may_not_list_keeps_checkpoints(
    s3_server: S3Server, write_only: Destination, key: str, tmp_path: Path
) -> None:
    keys = s3_server.user("keeper", allow=["s3:PutObject", "s3:GetObject", "s3:DeleteObject"])
    s3_server.check_permissions(on=True)
    try:
        access = StorageAccess(environment=s3_server.environment(keys))
        found, _ = checkpoint_store("s3://checkpoints", write_only, access, key)
        check(found, tmp_path)
    finally:
        s3_server.check_permissions(on=False)


def test_place_that_refuses_is_said_and_not_used(account: AzuriteAccount, write_only: Destination, key: str) -> None:
    access = StorageAccess(account.connection_string)
    found, sentence = checkpoint_store(f"{account.service.url}missing", write_only, access, key)
    assert found is None
    assert "HTTP 404 ContainerNotFound. The container or bucket does not exist." in sentence
    assert sentence.endswith(STARTS_OVER)


@pytest.mark.parametrize("place", ["checkpoints", "gs://bucket", "s3:", "ftp://host/x?sig=SECRET"])
def test_setting_that_is_no_place_is_a_clear_error(place: str, write_only: Destination, key: str) -> None:
    with pytest.raises(InvalidParametersError, match=r"VOTT_CHECKPOINTS is '.*', which is no container's URL") as error:
        checkpoint_store(place, write_only, NOTHING, key)
    assert "SECRET" not in str(error.value)
