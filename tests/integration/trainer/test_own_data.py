"""Private annotations and images are read with the installation's identities, and these are used for nothing else."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from azure.storage.blob import ContainerClient

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
from tests.integration.trainer.own_identities import AWS, CONNECTION, IDENTITY, KEY, MINIO, connection_to
from tests.support.annotated_images import image_with_shapes
from tests.support.azurite_account import AzuriteAccount
from tests.support.entra import Entra
from tests.support.http_server import Answer, HttpServer
from tests.support.s3_server import S3Server
from vott_guard.rules import Rules
from vott_trainer.annotations.findings import Finding
from vott_trainer.errors import AnnotationsUnreachableError
from vott_trainer.http.fetch import download
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session
from vott_trainer.plugin_api import Dataset, Links
from vott_trainer.progress.progress import Progress
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.own_data import OwnData
from vott_trainer.training_run import TrainingRun

IMAGES = 3


@pytest.fixture(scope="module", name="s3")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


def csv(*folders: str) -> bytes:
    """Annotations of the same images in each folder."""
    lines = []
    for folder in folders:
        for number in range(IMAGES):
            lines += [
                f"{folder}{number}.png,{s.x},{s.y},{s.side},{s.side},{s.label}" for s in image_with_shapes(number)[1]
            ]
    return "\n".join(lines).encode()


def fill(container: ContainerClient) -> str:
    """Put annotations and images into a private container; return the URL of the annotations."""
    container.upload_blob("cats/a.csv", csv("images/"))
    for number in range(IMAGES):
        container.upload_blob(f"cats/images/{number}.png", image_with_shapes(number)[0])
    return f"{container.url}/cats/a.csv"


def dataset(url: str, access: StorageAccess, folder: Path) -> Dataset:
    links = Links(url, "https://store.example/c", None)
    return TrainingRun(links, folder / "work", Progress(), signer=OwnData(access)).dataset()


def listed(url: str, **more: str) -> StorageAccess:
    return StorageAccess.from_environment({"VOTT_DATA_CONTAINERS": url, **more})


@pytest.mark.parametrize("setting", ["VOTT_DATA_CONTAINERS", "VOTT_MODEL_CONTAINERS"])
def test_private_container_is_read_with_the_workload_identity(
    setting: str, https_azurite: Azurite, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in Rules().to_environment().items():  # the rules do not apply to the administrator's containers
        monkeypatch.setenv(name, value)
    container = AzuriteAccount(https_azurite.connection_string).create_container("data")
    url = fill(container)
    with Entra(authority, tmp_path) as entra:
        access = StorageAccess.from_environment({setting: str(container.url), **entra.environment()})
        found = dataset(url, access, tmp_path)
        assert len(entra.requests) == 1
    assert len(found.images) == IMAGES
    assert all(image.boxes for image in found.images)


def test_refusal_of_the_identity_names_its_cause(https_azurite: Azurite, authority: Authority, tmp_path: Path) -> None:
    container = AzuriteAccount(https_azurite.connection_string).create_container("data")
    with Entra(authority, tmp_path) as entra:
        access = listed(str(container.url), **entra.environment("an untrusted token"))
        with pytest.raises(AnnotationsUnreachableError, match="gets no token: AADSTS700213: No matching federated"):
            dataset(f"{container.url}/a.csv", access, tmp_path)
        allowed = listed(str(container.url), **entra.environment())
        with pytest.raises(AnnotationsUnreachableError) as error:
            dataset(f"{container.url}/missing.csv", allowed, tmp_path)
    assert "HTTP 404 Not Found for the trainer's own identity. Check the URL, or ask the administrator" in str(
        error.value
    )


def test_private_container_is_read_with_the_accounts_key(account: AzuriteAccount, tmp_path: Path) -> None:
    container = account.create_container(f"data-{uuid.uuid4().hex}")
    name = container.container_name
    access = listed(name, AZURE_STORAGE_CONNECTION_STRING=account.connection_string)
    assert len(dataset(fill(container), access, tmp_path).images) == IMAGES


def test_container_that_is_not_listed_is_not_read(account: AzuriteAccount, tmp_path: Path) -> None:
    container = account.create_container(f"data-{uuid.uuid4().hex}")
    access = listed("others", AZURE_STORAGE_CONNECTION_STRING=account.connection_string)
    with pytest.raises(AnnotationsUnreachableError, match="HTTP 403 Forbidden"):
        dataset(fill(container), access, tmp_path)


def test_bucket_is_read_with_an_access_key(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket(f"data-{uuid.uuid4().hex}")
    s3.put(bucket, "cats/a.csv", csv("images/", f"s3://{bucket}/more images/"))
    for number in range(IMAGES):
        content = image_with_shapes(number)[0]
        s3.put(bucket, f"cats/images/{number}.png", content)
        s3.put(bucket, f"more images/{number}.png", content)
    access = StorageAccess.from_environment({"VOTT_DATA_BUCKETS": bucket, **s3.environment()})
    found = dataset(f"{s3.url}/{bucket}/cats/a.csv", access, tmp_path)
    assert len(found.images) == IMAGES  # the other images are the same
    assert not [finding for finding in found.findings if finding.kind == "image"]


def test_request_to_a_listed_bucket_is_presigned_for_reading(server: HttpServer, tmp_path: Path) -> None:
    """moto does not verify the signatures of presigned URLs."""
    own = OwnData(StorageAccess.from_environment({"VOTT_DATA_BUCKETS": "data", "AWS_ENDPOINT_URL": server.url, **AWS}))
    server.serve("/data/cats/a%20%23.csv", b"content")
    with Session(10.0, signer=own) as session:
        download(session, "s3://data/cats/a%20%23.csv", tmp_path / "a", limit=99, policy=RetryPolicy(attempts=1))
        download(
            session, f"{server.url}/data/cats/a%20%23.csv", tmp_path / "a", limit=99, policy=RetryPolicy(attempts=1)
        )
    assert [request.path for request in server.requests] == ["/data/cats/a%20%23.csv"] * 2
    for request in server.requests:
        assert {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Expires"} <= parse_qs(
            request.query
        ).keys()
        assert parse_qs(request.query)["X-Amz-SignedHeaders"] == ["host"]
        assert "SECRET" not in request.query


@pytest.mark.parametrize("url", [*OTHER_ACCOUNTS, *(f"https://{HOST}{path}" for path in OTHER_CONTAINERS)])
@pytest.mark.parametrize(
    "access",
    [
        StorageAccess(CONNECTION, data_containers=frozenset({"models"})),
        StorageAccess(environment=IDENTITY, data_containers=frozenset({f"https://{HOST}/models"})),
    ],
    ids=["key", "workload identity"],
)
def test_key_and_identity_read_no_other_account_or_container(access: StorageAccess, url: str) -> None:
    assert OwnData(access).opens(f"https://{HOST}/models/a.csv")
    assert not OwnData(access).opens(url)
    assert not OwnData(access).opens(f"{url}/a.csv")


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        *((url, AWS) for url in [*OTHER_BUCKETS, *OTHER_S3_HOSTS]),
        *((url, AWS | MINIO) for url in [*OTHER_BUCKETS, *OTHER_SERVERS]),
    ],
)
def test_access_key_reads_no_other_bucket_or_server(url: str, environment: dict[str, str]) -> None:
    own = OwnData(StorageAccess(environment=environment, data_buckets=frozenset({"models"})))
    assert own.opens("s3://models/a.csv")
    assert not own.opens(url)
    assert not own.opens(f"{url}/a.csv")


@pytest.mark.parametrize("query", ["sp=r&sr=c&sig=theirs", "X-Amz-Signature=theirs", "v=1"])
def test_url_with_a_query_is_read_without_the_identities(query: str) -> None:
    """Even in a listed container, since the owner of the link is unknown."""
    own = OwnData(StorageAccess(CONNECTION, data_containers=frozenset({"*"})))
    assert own.opens(f"https://{HOST}/models/a.csv")
    assert not own.opens(f"https://{HOST}/models/a.csv?{query}")


def test_nothing_is_listed_by_default() -> None:
    environment = IDENTITY | AWS | {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION}
    own = OwnData(StorageAccess.from_environment(environment))
    assert not own.opens(f"https://{HOST}/models/a.csv")
    assert not own.opens("https://models.s3.amazonaws.com/a.csv")


def test_data_of_the_lists_for_reading_can_not_be_written() -> None:
    access = StorageAccess(CONNECTION, data_containers=frozenset({"*"}), data_buckets=frozenset({"*"}))
    assert not access.allows_container("models")
    assert not access.allows_bucket("models")


def test_signature_of_the_key_is_for_one_blob_and_for_reading() -> None:
    signed = OwnData(StorageAccess(CONNECTION, data_containers=frozenset({"data"})))(
        f"https://{HOST}/data/a%20b%23.jpg"
    )
    assert signed
    assert signed.url.startswith(f"https://{HOST}/data/a%20b%23.jpg?")
    assert {"sr=b", "sp=r"} <= set(signed.url.partition("?")[2].split("&"))
    assert KEY not in signed.url
    assert "sig" not in repr(signed)


def on_server(server: HttpServer, containers: str) -> StorageAccess:
    """The installation's own account, on the test's server."""
    return listed(containers, AZURE_STORAGE_CONNECTION_STRING=connection_to(server))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_of_the_own_account_is_not_followed(status: int, server: HttpServer, tmp_path: Path) -> None:
    with HttpServer() as other:
        server.always["/team/data/a.csv"] = Answer(status, headers={"Location": f"{server.url}/team/data/b.csv"})
        with pytest.raises(AnnotationsUnreachableError, match=f"HTTP {status}"):
            dataset(f"{server.url}/team/data/a.csv", on_server(server, "data"), tmp_path)
        assert [request.path for request in server.requests] == ["/team/data/a.csv"]
        assert other.requests == []


def test_images_elsewhere_are_requested_without_signature(server: HttpServer, tmp_path: Path) -> None:
    with HttpServer() as other:
        for number in range(IMAGES):
            other.serve(f"/team/data/{number}.png", image_with_shapes(number)[0])
            server.serve(f"/team/private/{number}.png", image_with_shapes(number + IMAGES)[0])
        server.serve("/team/data/a.csv", csv(f"{other.url}/team/data/", f"{server.url}/team/private/"))
        found = dataset(f"{server.url}/team/data/a.csv", on_server(server, "data"), tmp_path)
        assert len(found.images) == 2 * IMAGES
        assert {request.query for request in other.requests} == {""}
    signed = {request.path for request in server.requests if "sig=" in request.query}
    assert signed == {"/team/data/a.csv"}


def test_images_with_expired_links_are_read_as_their_annotations(server: HttpServer, tmp_path: Path) -> None:
    for number in range(IMAGES):
        content = image_with_shapes(number)[0]
        url = f"{server.url}/team/data/{number}.png?sv=1&sig=stale"
        server.answers[f"/team/data/{number}.png"] = [Answer(403), Answer(200, content)]
        server.files["/team/data/a.csv"] = server.files.get("/team/data/a.csv", b"") + f"{url},1,2,30,40,cat\n".encode()
    found = dataset(f"{server.url}/team/data/a.csv", on_server(server, "data"), tmp_path)
    assert len(found.images) == IMAGES
    signed = [request.path for request in server.requests if "sig=" in request.query and "stale" not in request.query]
    assert len(signed) == 1 + IMAGES


def test_image_in_a_bucket_that_is_not_listed_is_left_out_with_the_reason(server: HttpServer, tmp_path: Path) -> None:
    images = csv(f"{server.url}/") + b"\ns3://others/9.png,,,,,"
    for number in range(IMAGES):
        server.serve(f"/{number}.png", image_with_shapes(number)[0])
    found = dataset(server.serve("/a.csv", images), StorageAccess(), tmp_path)
    reason = "the bucket is not listed in trainer.dataStore (VOTT_DATA_CONTAINERS, VOTT_DATA_BUCKETS)"
    assert [finding for finding in found.findings if finding.kind == "image"] == [
        Finding("image", "s3://others/9.png", reason)
    ]
