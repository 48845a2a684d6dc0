"""The administrator's own keys and identities go to the places that he has listed: no message makes the trainer show them to others."""

from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from localcluster.azurite import Azurite
from localcluster.pki import Authority
from tests.integration.trainer.ways import READING, Way
from tests.support.entra import Entra
from tests.support.http_server import Answer, HttpServer
from vott_trainer.errors import InvalidURLError, TrainerError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve

HOST = "team.blob.core.windows.net"
KEY = "c2VjcmV0"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=team;AccountKey={KEY};EndpointSuffix=core.windows.net"
# Nobody is there to ask: whatever gets as far as this identity fails otherwise than by a refusal.
IDENTITY = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"}
AWS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_SESSION_TOKEN": "SECRET"}
MINIO = {"AWS_ENDPOINT_URL": "https://minio.example:9000"}

OTHER_ACCOUNTS = [
    f"https://{HOST}.evil.example/models",
    f"https://{HOST}@evil.example/models",
    f"https://evil.example@{HOST}/models",
    f"https://:@{HOST}/models",
    f"https://{HOST}:444/models",
    f"https://{HOST}./models",
    f"https://{HOST}\\.evil.example/models",
    f"https://{HOST}\\@evil.example/models",
    f"https://{HOST}\t.evil.example/models",
    f"https://{HOST}%2eevil.example/models",
    f"https://evil.example/{HOST}/models",
    f"https://evil.example#{HOST}/models",
    f"https://evil.example?{HOST}/models",
    f"https://evil.example\\{HOST}/models",
    f"https://x{HOST}/models",
    "https://team-secondary.blob.core.windows.net/models",
    "https://team.dfs.core.windows.net/models",
    "https://team.blob.core.windows.com/models",
    "https://\uff54eam.blob.core.windows.net/models",
    f"http://{HOST}/models",
]  # fmt: skip
OTHER_CONTAINERS = [
    "/modelsandmore",
    "/models-2/x",
    "/MODELS",
    "/private",
    "/models/../private",
    "/models/../private/x.tgz",
    "/models/%2e%2e/private",
    "/models/%2E%2E/private",
    "/models/.%2e/private",
    "/models/..%2fprivate",
    "/models%2f..%2fprivate",
    "/models%2F%2E%2E%2Fprivate/x.tgz",
    "/models/..%5cprivate",
    "/models/..\\private",
    "/models\\..\\private",
    "/./private",
    "//models",
    "//private/models",
    "/models//x",
    "/models%00",
    "/models;x",
    "/models%3Fx",
    "/%2fmodels",
    "/models/..%2fprivate%2fx.tgz",
    "/models/%2e%2e%2fprivate%2fx.tgz",
    "/models/%2e%2e/private/x.tgz",
    "/models/..%5cprivate%5cx.tgz",
    "/models/a%2f..%2f..%2fprivate%2fx.tar.gz",
    "/models/cats/..%2f..%2fprivate%2fx.tgz",
    "/models/%2fx.tgz",
    "/models/a%2f%2fx.tgz",
    "/models/x%0a.tgz",
]  # fmt: skip


@pytest.mark.parametrize("url", [*OTHER_ACCOUNTS, *(f"https://{HOST}{path}" for path in OTHER_CONTAINERS)])
@pytest.mark.parametrize("access", [
    StorageAccess(CONNECTION, frozenset({"models"})),
    StorageAccess(containers=frozenset({f"https://{HOST}/models"}), environment=IDENTITY),
], ids=["key", "workload identity"])  # fmt: skip
def test_neither_key_nor_identity_is_for_another_account_or_container(access: StorageAccess, url: str) -> None:
    with pytest.raises((UploadRefusedError, InvalidURLError)) as error:
        resolve(url, access)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("path", ["/models/../private", "/models/%2e%2e/private", "/models/..%5cprivate", "//models"])
def test_list_of_all_containers_is_not_one_of_all_paths(path: str) -> None:
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
def test_identity_that_is_listed_for_a_prefix_is_for_that_alone(path: str) -> None:
    listed = StorageAccess(containers=frozenset({f"https://{HOST}/models/cats"}), environment=IDENTITY)
    with pytest.raises(UploadRefusedError, match="is not among the containers"):
        resolve(f"https://{HOST}{path}", listed)


@pytest.mark.parametrize("name", ["..%2fdogs%2fx.tgz", "..%2f..%2fprivate%2fx.tgz", "%2e%2e%5cdogs%5cx.tgz"])
def test_archives_name_does_not_lead_out_of_a_listed_prefix(name: str) -> None:
    listed = StorageAccess(containers=frozenset({f"https://{HOST}/models/cats"}), environment=IDENTITY)
    with pytest.raises(InvalidURLError, match="has empty parts, dots or control characters in its path"):
        resolve(f"https://{HOST}/models/cats/{name}", listed)


def test_no_store_asks_for_a_name_that_leads_out(server: HttpServer, archive: Path) -> None:
    """Whatever `resolve` has let pass."""
    amazon = StorageAccess(buckets=frozenset({"models"}), environment={**AWS, "AWS_ENDPOINT_URL": server.url})
    for destination in (
        resolve(f"{server.url}/team/models", account_at(server)),
        resolve(f"{server.url}/team/models?sp=w&sr=c&sig=theirs", StorageAccess()),
        resolve("s3://models/cats", amazon),
    ):
        with pytest.raises(InvalidURLError, match="is no name for an object"):
            destination.store.put(archive, "../private/x.tgz")
    assert server.requests == []


OTHER_BUCKETS = [
    "s3://other/cats",
    "s3://MODELS/cats",
    "s3://user@models/cats",
    "s3://models:80/cats",
    "s3://models@evil.example/cats",
    "s3://models%2f..%2fother/cats",
    "s3://models/../other",
    "s3://models/%2e%2e/other",
    "s3://models/..%5cother",
    "s3://models/..%2fother%2fx.tgz",
    "s3://models/%2e%2e%2fother%2fx.tgz",
    "s3://models/..%5cother%5cx.tgz",
    "s3://models/a%2f%2fx.tgz",
    "s3://models/x%0a.tgz",
    "s3://models/x%0a",
]  # fmt: skip
OTHER_AMAZONS = [
    "https://models.s3.amazonaws.com.evil.example/cats",
    "https://models.s3.amazonaws.com@evil.example/cats",
    "https://evil.example@models.s3.amazonaws.com/cats",
    "https://evil.example@s3.amazonaws.com/models",
    "https://evil.example\\.s3.amazonaws.com/models",
    "https://evil.example/.s3.amazonaws.com/models",
    "https://evil.example#.s3.amazonaws.com/models",
    "https://evil.example?.s3.amazonaws.com/models",
    "https://models.s3.amazonaws.com:8443/cats",
    "https://models.s3.amazonaws.com./cats",
    "https://models.s3-evil.amazonaws.com/cats",
    "https://models.evil.s3.amazonaws.com/cats",
    "https://xs3.amazonaws.com/models",
    "https://s3.amazonaws.com/models/../other",
    "https://s3.amazonaws.com/models/..%2fother%2fx.tgz",
    "https://s3.amazonaws.com/other/models",
    "http://models.s3.amazonaws.com/cats",
]  # fmt: skip
OTHER_SERVERS = [
    "https://minio.example/models",
    "https://minio.example:9001/models",
    "http://minio.example:9000/models",
    "https://minio.example:9000.evil.example/models",
    "https://minio.example:9000@evil.example/models",
    "https://user@minio.example:9000/models",
    "https://evil.example/minio.example:9000/models",
    "https://evil.example\\.minio.example:9000/models",
    "https://evil-minio.example:9000/models",
    "https://models..minio.example:9000/cats",
    "https://a@models.minio.example:9000/cats",
    "https://minio.example:9000/models/../other",
    "https://minio.example:9000/models/..%2fother%2fx.tgz",
    "https://models.s3.amazonaws.com/cats",
]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        *((url, AWS) for url in [*OTHER_BUCKETS, *OTHER_AMAZONS]),
        *((url, AWS | MINIO) for url in [*OTHER_BUCKETS, *OTHER_SERVERS]),
    ],
)
def test_access_key_is_for_no_other_bucket_or_server(url: str, environment: dict[str, str]) -> None:
    with pytest.raises((UploadRefusedError, InvalidURLError)) as error:
        resolve(url, StorageAccess(buckets=frozenset({"models"}), environment=environment))
    assert "SECRET" not in str(error.value)


def account_at(server: HttpServer) -> StorageAccess:
    """The administrator's account, on the test's own server."""
    endpoint = f"BlobEndpoint={server.url}/team;"
    return StorageAccess(
        f"DefaultEndpointsProtocol=http;AccountName=team;AccountKey={KEY};{endpoint}", frozenset({"models"})
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_of_the_own_account_is_not_signed_for(
    status: int, server: HttpServer, archive: Path, tmp_path: Path
) -> None:
    destination = resolve(f"{server.url}/team/models", account_at(server))
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
def test_redirect_of_the_own_bucket_shows_no_key(
    status: int, server: HttpServer, archive: Path, tmp_path: Path
) -> None:
    """The client follows it, without what was signed and without the model; nobody but the administrator names such a server."""
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


@pytest.mark.parametrize("way", READING)
def test_what_a_message_lets_read_is_read_without_any_identity(
    way: Way, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", account_at(server).connection_string)
    for name, value in (AWS | IDENTITY | {"AWS_ENDPOINT_URL": server.url}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainerError):
        way(f"{server.url}/team/models/x", tmp_path)
    assert server.requests
    assert not [request for request in server.requests if "Authorization" in request.headers]


@pytest.mark.parametrize("query", ["sp=w&sr=c&sig=theirs", "X-Amz-Signature=theirs", "token=theirs"])
def test_link_with_a_permission_of_its_own_is_used_with_no_other(query: str, server: HttpServer, archive: Path) -> None:
    """Not even at a place that is listed: whose link it is, is not known."""
    own = account_at(server)
    access = StorageAccess(
        own.connection_string, own.containers, frozenset({"*"}), {**AWS, "AWS_ENDPOINT_URL": server.url}
    )
    destination = resolve(f"{server.url}/team/models?{query}", access)
    server.always[f"/team/models{'/model.tgz' if 'sp=' in query else ''}"] = Answer(403)
    with pytest.raises(UploadRefusedError):
        destination.store.put(archive, destination.name)
    assert [request.headers.get("Authorization") for request in server.requests] == [None]


def test_entra_is_asked_for_listed_places_alone_and_where_the_environment_says(
    secure: Azurite, authority: Authority, archive: Path, tmp_path: Path
) -> None:
    account = BlobServiceClient.from_connection_string(secure.connection_string)
    container = account.create_container("models")
    with Entra(authority, tmp_path) as entra, HttpServer() as other:
        access = StorageAccess(containers=frozenset({container.url}), environment=entra.environment())
        for url in (f"{account.url}private", f"{container.url}/../private", f"{other.url}/devstoreaccount1/models"):
            with pytest.raises(UploadRefusedError):
                resolve(url, access)
        assert entra.asked == []
        resolve(container.url, access).store.put(archive, "model.tgz")
        assert len(entra.asked) == 1
        assert other.requests == []
