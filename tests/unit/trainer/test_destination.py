"""Where the model goes, and which links are refused before the training begins."""

from datetime import UTC, datetime

import pytest

from vott_trainer.destination import StorageAccess, blob_url, resolve
from vott_trainer.errors import InvalidParametersError, InvalidURLError, UploadRefusedError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ACCOUNT = "https://team.blob.core.windows.net"
SAS = "sv=2024-11-04&sp=rcw&se=2026-06-02T00%3A00%3A00Z&sig=SECRET"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=team;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=local;AccountKey=c2VjcmV0;BlobEndpoint=http://10.0.0.1:10000/local;"
)


def access(*containers: str, connection: str = CONNECTION) -> StorageAccess:
    return StorageAccess(connection, frozenset(containers))


@pytest.mark.parametrize(
    ("given", "blob"),
    [
        (f"{ACCOUNT}/models?sr=c&{SAS}", f"{ACCOUNT}/models/model.tgz"),
        (f"{ACCOUNT}/models/?sr=c&{SAS}", f"{ACCOUNT}/models/model.tgz"),
        (f"{ACCOUNT}/models/a/b?sr=c&{SAS}", f"{ACCOUNT}/models/a/b/model.tgz"),
        (f"{ACCOUNT}/models/id.tgz?{SAS}", f"{ACCOUNT}/models/id.tgz"),
        (f"{ACCOUNT}/models/id.tar.gz?sr=c&{SAS}", f"{ACCOUNT}/models/id.tar.gz"),
        (f"{ACCOUNT}/models/id?sr=b&{SAS}", f"{ACCOUNT}/models/id"),
        (f"{ACCOUNT}/models/a%20b?sr=b&{SAS}", f"{ACCOUNT}/models/a%20b"),
        (f"http://10.0.0.1:10000/local/models?sr=c&{SAS}", "http://10.0.0.1:10000/local/models/model.tgz"),
        (f"http://10.0.0.1:10000/local/models/a/b?sr=c&{SAS}", "http://10.0.0.1:10000/local/models/a/b/model.tgz"),
    ],
)
def test_container_takes_model_tgz_and_a_blob_is_taken_as_it_is(given: str, blob: str) -> None:
    assert blob_url(given).partition("?")[0] == blob
    assert resolve(given, StorageAccess(), NOW).url.partition("?")[0] == blob


@pytest.mark.parametrize(
    ("sas", "words"),
    [
        ("sp=rl&sig=SECRET", r"HTTP 403\): the link does not permit writing \(sp=rl\)"),
        ("sp=w&se=2026-05-31T10%3A00%3A00Z&sig=SECRET", r"HTTP 403\): the link expired at 2026-05-31 10:00 UTC"),
        ("sp=w&se=2026-05-31&sig=SECRET", "the link expired at 2026-05-31 00:00 UTC"),
        ("", "carries no SAS"),
    ],
)
def test_link_that_can_not_work_is_refused_before_training(sas: str, words: str) -> None:
    with pytest.raises(UploadRefusedError, match=words) as error:
        resolve(f"{ACCOUNT}/models?{sas}", StorageAccess(), NOW)
    assert "SECRET" not in str(error.value)
    assert "Make a new link with write permission" in str(error.value)


@pytest.mark.parametrize("allowed", ["models", "*"])
def test_administrators_account_takes_models_in_listed_containers(allowed: str) -> None:
    blob = resolve(f"{ACCOUNT}/models/a", access(allowed), NOW)
    assert (blob.container_name, blob.blob_name) == ("models", "a/model.tgz")
    assert blob.credential is not None


def test_administrators_account_may_have_its_name_in_the_path() -> None:
    blob = resolve("http://10.0.0.1:10000/local/models", access("models", connection=EMULATOR), NOW)
    assert (blob.container_name, blob.blob_name) == ("models", "model.tgz")


@pytest.mark.parametrize("containers", [(), ("other",), ("model",)])
def test_container_that_is_not_listed_is_refused(containers: tuple[str, ...]) -> None:
    with pytest.raises(UploadRefusedError, match="'models' is not among those"):
        resolve(f"{ACCOUNT}/models", access(*containers), NOW)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.blob.core.windows.net/models",
        "http://team.blob.core.windows.net/models",
        "https://team.blob.core.windows.net.evil.example/models",
        f"{ACCOUNT}/models/../private/x.tgz",
        f"{ACCOUNT}/models/%2e%2e/private/x.tgz",
    ],
)
def test_administrators_key_reaches_no_other_place(url: str) -> None:
    with pytest.raises(UploadRefusedError, match="names no container of this installation's storage account"):
        resolve(url, access("*"), NOW)


def test_url_without_a_container_is_refused() -> None:
    with pytest.raises(InvalidURLError, match="names no container"):
        resolve(f"{ACCOUNT}/?{SAS}", StorageAccess(), NOW)


def test_broken_connection_string_is_not_shown() -> None:
    with pytest.raises(InvalidParametersError) as error:
        resolve(f"{ACCOUNT}/models", access("*", connection="AccountKey=SECRET"), NOW)
    assert str(error.value) == "AZURE_STORAGE_CONNECTION_STRING is not a storage connection string."


def test_containers_are_read_from_the_environment() -> None:
    environment = {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION, "VOTT_MODEL_CONTAINERS": "a, b,"}
    assert StorageAccess.from_environment(environment) == access("a", "b")
