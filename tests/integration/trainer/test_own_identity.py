"""The installation's own keys and identities are used only for the listed destinations, whatever URL a message has."""

from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from localcluster.azurite import Azurite
from localcluster.pki import Authority
from tests.integration.trainer.foreign_urls import (
    HOST,
    OTHER_ACCOUNTS,
    OTHER_BUCKETS,
    OTHER_CONTAINERS,
    OTHER_S3_HOSTS,
    OTHER_SERVERS,
)
from tests.integration.trainer.outgoing_requests import DOWNLOADS, SendRequest
from tests.integration.trainer.own_identities import AWS, CONNECTION, IDENTITY, KEY, MINIO, connection_to
from tests.support.entra import Entra
from tests.support.http_server import Answer, HttpServer
from vott_trainer.errors import InvalidURLError, TrainerError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve


@pytest.mark.parametrize("url", [*OTHER_ACCOUNTS, *(f"https://{HOST}{path}" for path in OTHER_CONTAINERS)])
@pytest.mark.parametrize("access", [
    StorageAccess(CONNECTION, frozenset({"models"})),
    StorageAccess(containers=frozenset({f"https://{HOST}/models"}), environment=IDENTITY),
], ids=["key", "workload identity"])  # fmt: skip
def test_key_and_identity_are_not_used_for_another_account_or_container(access: StorageAccess, url: str) -> None:
    with pytest.raises((UploadRefusedError, InvalidURLError)) as error:
        resolve(url, access)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("path", ["/models/../private", "/models/%2e%2e/private", "/models/..%5cprivate", "//models"])
def test_permission_for_all_containers_does_not_allow_other_paths(path: str) -> None:
    with pytest.raises(UploadRefusedError, match="names no container of this installation"):
        resolve(f"https://{HOST}{path}", StorageAccess(CONNECTION, frozenset({"*"})))


@pytest.mark.parametrize(
    "path",
    [
        "/models/private",
        "/models/catsanddogs",
        "/models/cats/../dogs",
        "/models/cats%2f..%2fdogs",
        "/models/cats%2fx.tgz",
    ],
)
def test_identity_listed_for_a_prefix_is_used_only_for_that_prefix(path: str) -> None:
    listed = StorageAccess(containers=frozenset({f"https://{HOST}/models/cats"}), environment=IDENTITY)
    with pytest.raises(UploadRefusedError, match="is not among the containers"):
        resolve(f"https://{HOST}{path}", listed)


@pytest.mark.parametrize("name", ["..%2fdogs%2fx.tgz", "..%2f..%2fprivate%2fx.tgz", "%2e%2e%5cdogs%5cx.tgz"])
def test_archive_name_can_not_leave_a_listed_prefix(name: str) -> None:
    listed = StorageAccess(containers=frozenset({f"https://{HOST}/models/cats"}), environment=IDENTITY)
    with pytest.raises(InvalidURLError, match="has empty parts, dots or control characters in its path"):
        resolve(f"https://{HOST}/models/cats/{name}", listed)


def test_stores_refuse_object_names_that_leave_the_prefix(server: HttpServer, archive: Path) -> None:
    """Even if `resolve` has let the URL pass."""
    amazon = StorageAccess(buckets=frozenset({"models"}), environment={**AWS, "AWS_ENDPOINT_URL": server.url})
    for destination in (
        resolve(f"{server.url}/team/models", account_on(server)),
        resolve(f"{server.url}/team/models?sp=w&sr=c&sig=theirs", StorageAccess()),
        resolve("s3://models/cats", amazon),
    ):
        with pytest.raises(InvalidURLError, match="is not an object's name"):
            destination.store.put(archive, "../private/x.tgz")
    assert server.requests == []


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        *((url, AWS) for url in [*OTHER_BUCKETS, *OTHER_S3_HOSTS]),
        *((url, AWS | MINIO) for url in [*OTHER_BUCKETS, *OTHER_SERVERS]),
    ],
)
def test_access_key_is_not_used_for_another_bucket_or_server(url: str, environment: dict[str, str]) -> None:
    with pytest.raises((UploadRefusedError, InvalidURLError)) as error:
        resolve(url, StorageAccess(buckets=frozenset({"models"}), environment=environment))
    assert not any(secret in str(error.value) for secret in ("SECRET", "TOKEN"))


def account_on(server: HttpServer) -> StorageAccess:
    """Access to the installation's own account, on the test's server."""
    return StorageAccess(connection_to(server), frozenset({"models"}))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_from_the_own_account_is_not_signed(
    status: int, server: HttpServer, archive: Path, tmp_path: Path
) -> None:
    destination = resolve(f"{server.url}/team/models", account_on(server))
    with HttpServer() as other:
        server.always["/team/models/model.tgz"] = Answer(
            status, headers={"Location": f"{other.url}/team/models/model.tgz"}
        )
        with pytest.raises(TrainerError, match=f"HTTP {status}"):
            destination.store.put(archive, "model.tgz")
        with pytest.raises(TrainerError):
            destination.find(tmp_path)
        assert other.requests == []
    assert all("Authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_from_the_own_bucket_receives_no_key(
    status: int, server: HttpServer, archive: Path, tmp_path: Path
) -> None:
    """The client follows it without signature and body; only the administrator can configure such a server."""
    access = StorageAccess(buckets=frozenset({"models"}), environment={**AWS, "AWS_ENDPOINT_URL": server.url})
    destination = resolve("s3://models", access)
    with HttpServer() as other:
        server.always["/models/model.tgz"] = Answer(status, headers={"Location": f"{other.url}/models/model.tgz"})
        with pytest.raises(TrainerError):
            destination.store.put(archive, "model.tgz")
        destination.find(tmp_path)
        for request in other.requests:
            assert request.body == b""
            assert "authorization" not in {name.lower() for name in request.headers}


@pytest.mark.parametrize("send_request", DOWNLOADS)
def test_downloads_use_no_identity(
    send_request: SendRequest, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", account_on(server).connection_string)
    for name, value in (AWS | IDENTITY | {"AWS_ENDPOINT_URL": server.url}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainerError):
        send_request(f"{server.url}/team/models/x", tmp_path)
    assert server.requests
    assert not [request for request in server.requests if "Authorization" in request.headers]


@pytest.mark.parametrize("query", ["sp=w&sr=c&sig=theirs", "X-Amz-Signature=theirs", "token=theirs"])
def test_url_with_its_own_permission_is_used_without_the_installations_identity(
    query: str, server: HttpServer, archive: Path
) -> None:
    """Even at a listed destination, since the owner of the link is unknown."""
    account = account_on(server)
    access = StorageAccess(
        account.connection_string, account.containers, frozenset({"*"}), {**AWS, "AWS_ENDPOINT_URL": server.url}
    )
    destination = resolve(f"{server.url}/team/models?{query}", access)
    server.always[f"/team/models{'/model.tgz' if 'sp=' in query else ''}"] = Answer(403)
    with pytest.raises(UploadRefusedError):
        destination.store.put(archive, destination.name)
    assert [request.headers.get("Authorization") for request in server.requests] == [None]


def test_entra_token_is_requested_only_for_listed_destinations(
    https_azurite: Azurite, authority: Authority, archive: Path, tmp_path: Path
) -> None:
    account = BlobServiceClient.from_connection_string(https_azurite.connection_string)
    container = account.create_container("models")
    with Entra(authority, tmp_path) as entra, HttpServer() as other:
        access = StorageAccess(containers=frozenset({container.url}), environment=entra.environment())
        for url in (f"{account.url}private", f"{container.url}/../private", f"{other.url}/devstoreaccount1/models"):
            with pytest.raises(UploadRefusedError):
                resolve(url, access)
        assert entra.requests == []
        resolve(container.url, access).store.put(archive, "model.tgz")
        assert len(entra.requests) == 1
        assert other.requests == []
