"""Upload of the model to Azure Blob Storage: SAS URLs, account key and workload identity, and the errors of each."""

import hashlib
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from localcluster.azurite import Azurite
from localcluster.pki import Authority
from tests.integration.trainer.model_archives import ARCHIVE_CONTENT
from tests.support.azurite_account import AzuriteAccount, blob_names
from tests.support.entra import Entra
from vott_trainer.errors import TemporaryFailureError, UploadRefusedError
from vott_trainer.http.fetch import FetchError, download
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve
from vott_trainer.stores.store import StoredObject


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "tensorboard").mkdir(parents=True)
    (folder / "report.html").write_text("<p>Fine.</p>")
    (folder / "tensorboard" / "events").write_bytes(b"\0")
    return folder


def upload(archive: Path, url: str, access: StorageAccess | None = None) -> StoredObject:
    destination = resolve(url, access or StorageAccess())
    return destination.store.put(archive, destination.name)


def content_of(container: ContainerClient, name: str) -> bytes:
    return container.download_blob(name).readall()


@pytest.mark.parametrize(("prefix", "name"), [("", "model.tgz"), ("/cats/1", "cats/1/model.tgz"), ("/7.tgz", "7.tgz")])
def test_model_is_uploaded_with_a_container_sas(
    prefix: str, name: str, account: AzuriteAccount, container: ContainerClient, archive: Path
) -> None:
    model = upload(archive, account.container_sas_url(container, prefix))
    assert content_of(container, name) == ARCHIVE_CONTENT
    assert model == StoredObject(
        f"{container.url}/{name}", hashlib.sha256(ARCHIVE_CONTENT).hexdigest(), len(ARCHIVE_CONTENT)
    )


def test_report_is_uploaded_beside_the_model_as_html(
    account: AzuriteAccount, container: ContainerClient, model: Path, tmp_path: Path
) -> None:
    resolve(account.container_sas_url(container, "/cats"), StorageAccess()).deliver(model, tmp_path)
    assert blob_names(container) == ["cats/model.tgz", "cats/report.html"]
    report = container.get_blob_client("cats/report.html").get_blob_properties()
    assert report.content_settings.content_type == "text/html; charset=utf-8"


def test_single_files_are_uploaded_to_a_prefix_that_ends_with_a_slash(
    account: AzuriteAccount, container: ContainerClient, model: Path, tmp_path: Path
) -> None:
    destination = resolve(account.container_sas_url(container, "/cats/"), StorageAccess())
    uploaded = destination.deliver(model, tmp_path)
    assert blob_names(container) == ["cats/manifest.json", "cats/report.html", "cats/tensorboard/events"]
    assert uploaded.url == f"{container.url}/cats/manifest.json"
    assert uploaded.sha256 == hashlib.sha256(content_of(container, "cats/manifest.json")).hexdigest()


def test_model_is_uploaded_even_if_the_report_is_refused(
    account: AzuriteAccount, container: ContainerClient, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    container.upload_blob("report.html", b"an older one")
    resolve(account.container_sas_url(container, permissions="c"), StorageAccess()).deliver(model, tmp_path)
    assert blob_names(container) == ["model.tgz", "report.html"]
    assert "the report could not be put beside the model" in caplog.text


def test_model_is_uploaded_with_a_write_only_blob_sas(
    account: AzuriteAccount, container: ContainerClient, model: Path, tmp_path: Path
) -> None:
    resolve(account.blob_sas_url(container, "id.tgz", permissions="w"), StorageAccess()).deliver(model, tmp_path)
    assert blob_names(container) == ["id.tgz"]


def test_blob_sas_needs_no_file_extension(account: AzuriteAccount, container: ContainerClient, archive: Path) -> None:
    upload(archive, account.blob_sas_url(container, "my model"))
    assert content_of(container, "my model") == ARCHIVE_CONTENT


def test_second_attempt_replaces_the_model_of_the_first(
    account: AzuriteAccount, container: ContainerClient, archive: Path
) -> None:
    upload(archive, account.container_sas_url(container))
    archive.write_bytes(b"better")
    upload(archive, account.container_sas_url(container))
    assert content_of(container, "model.tgz") == b"better"


def test_model_is_uploaded_with_the_account_key(
    account: AzuriteAccount, container: ContainerClient, archive: Path
) -> None:
    access = StorageAccess(account.connection_string, frozenset([container.container_name]))
    model = upload(archive, f"{container.url}/my%20cats", access)
    assert content_of(container, "my cats/model.tgz") == ARCHIVE_CONTENT
    assert model.url == f"{container.url}/my%20cats/model.tgz"


def test_large_model_is_uploaded_in_blocks(account: AzuriteAccount, container: ContainerClient, archive: Path) -> None:
    content = bytes(range(256)) * (70 << 12)  # 70 MiB: the client sends blocks above 64 MiB
    archive.write_bytes(content)
    model = upload(archive, account.container_sas_url(container))
    assert hashlib.sha256(content_of(container, "model.tgz")).hexdigest() == model.sha256


def test_uploaded_model_is_found_with_read_permission(
    account: AzuriteAccount, container: ContainerClient, archive: Path, tmp_path: Path
) -> None:
    destination = resolve(account.container_sas_url(container), StorageAccess())
    assert destination.find(tmp_path) is None
    assert destination.version() is None
    uploaded = upload(archive, account.container_sas_url(container))
    first = destination.version()
    assert first
    upload(archive, account.container_sas_url(container))
    assert destination.version() != first  # although the content is the same
    found = destination.find(tmp_path)
    assert found is not None
    assert (found.url, found.sha256, found.size_bytes) == (uploaded.url, uploaded.sha256, uploaded.size_bytes)


def test_finding_the_model_without_read_permission_is_an_error(
    account: AzuriteAccount, container: ContainerClient, archive: Path, tmp_path: Path
) -> None:
    url = account.blob_sas_url(container, "id.tgz")
    upload(archive, url)
    with pytest.raises(
        UploadRefusedError, match=r"Reading .*/id.tgz was refused: HTTP 403 \w+\. The link has expired or does not"
    ):
        resolve(url, StorageAccess()).find(tmp_path)


def refusal(url: str, archive: Path) -> str:
    with pytest.raises(UploadRefusedError) as error:
        upload(archive, url)
    return str(error.value)


def test_missing_container_is_reported(account: AzuriteAccount, container: ContainerClient, archive: Path) -> None:
    url = account.container_sas_url(container)
    container.delete_container()
    error = refusal(url, archive)
    assert "HTTP 404 ContainerNotFound. The container or bucket does not exist." in error
    assert "sig=" not in error


def test_wrong_signature_is_reported(account: AzuriteAccount, container: ContainerClient, archive: Path) -> None:
    error = refusal(account.container_sas_url(container) + "AAAA", archive)
    assert "HTTP 403" in error
    assert "Make a new link with write permission and send the message again." in error


def test_model_is_not_replaced_with_create_permission_only(
    account: AzuriteAccount, container: ContainerClient, archive: Path
) -> None:
    url = account.blob_sas_url(container, "id.tgz", permissions="c")
    upload(archive, url)
    assert "may not replace a blob that exists" in refusal(url, archive)


def test_unreachable_store_is_a_temporary_failure(
    unused_url: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("azure.core.pipeline.transport.RequestsTransport.sleep", lambda *_: None)
    with pytest.raises(TemporaryFailureError, match="no answer"):
        upload(archive, f"{unused_url}/account/models?sp=w&sig=x")


def test_server_certificate_is_trusted_through_requests_ca_bundle(
    https_azurite: Azurite, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AzuriteAccount(https_azurite.connection_string)
    container, copy = account.create_container("models"), tmp_path / "copy"
    upload(archive, account.container_sas_url(container))
    url = account.blob_sas_url(container, "model.tgz", permissions="r")
    with Session(10.0) as session:
        download(session, url, copy, limit=10**6, policy=RetryPolicy(1))
        assert copy.read_bytes() == ARCHIVE_CONTENT
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with Session(10.0) as session, pytest.raises(FetchError, match="the server's certificate is not trusted"):
        download(session, url, copy, limit=10**6, policy=RetryPolicy(1))


def test_model_is_uploaded_with_workload_identity(
    https_azurite: Azurite, authority: Authority, archive: Path, tmp_path: Path
) -> None:
    account = BlobServiceClient.from_connection_string(https_azurite.connection_string)
    container = account.create_container("models")
    with Entra(authority, tmp_path) as entra:
        access = StorageAccess(containers=frozenset([container.url]), environment=entra.environment())
        upload(archive, f"{container.url}/cats", access)
    assert content_of(container, "cats/model.tgz") == ARCHIVE_CONTENT
    assert [form["client_assertion"] for form in entra.requests] == ["the pod's token"]


def test_identity_unknown_to_entra_is_reported(
    https_azurite: Azurite, authority: Authority, archive: Path, tmp_path: Path
) -> None:
    container = BlobServiceClient.from_connection_string(https_azurite.connection_string).create_container("models")
    with Entra(authority, tmp_path) as entra:
        access = StorageAccess(
            containers=frozenset([container.url]), environment=entra.environment("a stranger's token")
        )
        with pytest.raises(
            UploadRefusedError, match="AADSTS700213: No matching federated identity record found"
        ) as error:
            upload(archive, container.url, access)
    assert str(error.value).endswith("Ask the administrator to check trainer.workloadIdentity.")
