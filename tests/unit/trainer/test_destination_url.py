"""Destinations of `--model`: all kinds of URLs, their permissions, and links refused before the training."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vott_trainer.command_line import parse
from vott_trainer.errors import InvalidParametersError, InvalidURLError, UploadRefusedError
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.destination_url import is_destination, resolve

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ACCOUNT = "https://team.blob.core.windows.net"
SAS = "sv=2024-11-04&sp=rcw&se=2026-06-02T00%3A00%3A00Z&sig=SECRET"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=team;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=local;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:10000/local;"
)
IDENTITY = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/token"}
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "SECRET"}
PRESIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260601T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=SECRET"


def access(*containers: str, connection: str = CONNECTION, **environment: str) -> StorageAccess:
    return StorageAccess(connection, frozenset(containers), environment=environment)


def bucket_access(*listed: str, **environment: str) -> StorageAccess:
    return StorageAccess(buckets=frozenset(listed), environment={**KEYS, **environment})


def location(destination: Destination) -> str:
    """The archive, or the folder of single files."""
    return f"{destination.store.location}/{destination.name}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{ACCOUNT}/models?sr=c&{SAS}", f"{ACCOUNT}/models/model.tgz"),
        (f"{ACCOUNT}/models/a/b?sr=c&{SAS}", f"{ACCOUNT}/models/a/b/model.tgz"),
        (f"{ACCOUNT}/models/id.tgz?{SAS}", f"{ACCOUNT}/models/id.tgz"),
        (f"{ACCOUNT}/models/id.tar.gz?sr=c&{SAS}", f"{ACCOUNT}/models/id.tar.gz"),
        (f"{ACCOUNT}/models/id?sr=b&{SAS}", f"{ACCOUNT}/models/id"),
        (f"{ACCOUNT}/models/a%20b?sr=b&{SAS}", f"{ACCOUNT}/models/a b"),
        (f"http://127.0.0.1:10000/local/models?sr=c&{SAS}", "http://127.0.0.1:10000/local/models/model.tgz"),
        (f"http://127.0.0.1:10000/local/models/a/b?sr=c&{SAS}", "http://127.0.0.1:10000/local/models/a/b/model.tgz"),
    ],
)
def test_container_gets_model_tgz_and_a_blobs_name_is_kept(url: str, expected: str) -> None:
    assert location(resolve(url, StorageAccess(), NOW)) == expected


@pytest.mark.parametrize(
    "path",
    [
        "..%2fprivate%2fx.tgz",
        "%2e%2e/private/x.tgz",
        "%2E%2E%5Cprivate",
        "a/../../private",
        ".",
        "a%2f%2fx.tgz",
        "x%1b.tgz",
    ],
)
def test_path_that_leads_out_of_the_container_is_refused(path: str) -> None:
    with pytest.raises(InvalidURLError, match="has empty parts, dots or control characters in its path"):
        resolve(f"{ACCOUNT}/models/{path}?sr=c&{SAS}", StorageAccess(), NOW)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{ACCOUNT}/models/cats%2F7.tgz?sr=b&{SAS}", f"{ACCOUNT}/models/cats/7.tgz"),  # as Azure's portal writes it
        (f"{ACCOUNT}/models/cats%2F7?sr=b&{SAS}", f"{ACCOUNT}/models/cats/7"),
        (f"{ACCOUNT}/models/cats/a..b.tgz?sr=c&{SAS}", f"{ACCOUNT}/models/cats/a..b.tgz"),
    ],
)
def test_encoded_slash_and_dots_within_a_name_are_kept(url: str, expected: str) -> None:
    destination = resolve(url, StorageAccess(), NOW)
    assert destination.url == expected


@pytest.mark.parametrize("url", [f"{ACCOUNT}/models/", f"{ACCOUNT}/models/a/b/"])
def test_url_that_ends_with_a_slash_gets_single_files(url: str) -> None:
    destination = resolve(f"{url}?sr=c&{SAS}", StorageAccess(), NOW)
    assert (destination.name, destination.store.location) == ("", url.rstrip("/"))


@pytest.mark.parametrize(
    ("query", "is_prefix", "readable"),
    [
        ("sr=c&sp=rcw", True, True),
        ("sr=c&sp=rw", True, True),
        ("sr=c", True, True),  # a stored access policy holds the permissions
        ("sr=c&sp=cw", True, False),
        ("sr=c&sp=rc", True, False),
        ("sr=b&sp=rcw", False, False),
    ],
)
def test_checkpoints_may_go_beside_the_model_if_the_link_reads_and_writes_several_blobs(
    query: str, is_prefix: bool, readable: bool
) -> None:
    destination = resolve(f"{ACCOUNT}/models/a?{query}&sig=SECRET", StorageAccess(), NOW)
    assert (destination.is_prefix, destination.readable) == (is_prefix, readable)


@pytest.mark.parametrize(
    ("sas", "message"),
    [
        ("sp=rl&sig=SECRET", r"HTTP 403\): the link does not permit writing \(sp=rl\)"),
        ("sp=w&se=2026-05-31T10%3A00%3A00Z&sig=SECRET", r"HTTP 403\): the link expired at 2026-05-31 10:00 UTC"),
        ("sp=w&se=2026-05-31&sig=SECRET", "the link expired at 2026-05-31 00:00 UTC"),
        ("sp=w&st=2026-06-01T01%3A00%3A00Z&sig=SECRET", "the link is not valid before 2026-06-01 01:00 UTC"),
        ("", "carries no SAS"),
        ("comp=list", "carries no SAS"),
    ],
)
def test_unusable_link_is_refused_before_training(sas: str, message: str) -> None:
    with pytest.raises(UploadRefusedError, match=message) as error:
        resolve(f"{ACCOUNT}/models?{sas}", StorageAccess(), NOW)
    assert "SECRET" not in str(error.value)
    assert "Make a new link with write permission" in str(error.value)


@pytest.mark.parametrize("allowed", ["models", "*"])
def test_listed_container_of_the_account_is_accepted(allowed: str) -> None:
    destination = resolve(f"{ACCOUNT}/models/a", access(allowed), NOW)
    assert location(destination) == f"{ACCOUNT}/models/a/model.tgz"
    assert (destination.is_prefix, destination.readable) == (True, True)


def test_account_may_have_its_name_in_the_path() -> None:
    destination = resolve("http://127.0.0.1:10000/local/models", access("models", connection=EMULATOR), NOW)
    assert location(destination) == "http://127.0.0.1:10000/local/models/model.tgz"


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
def test_account_key_opens_no_other_location(url: str) -> None:
    with pytest.raises(UploadRefusedError, match="names no container of this installation's storage account"):
        resolve(url, access("*"), NOW)


@pytest.mark.parametrize(
    "url",
    [
        f"{ACCOUNT}/modelsandmore",
        f"{ACCOUNT}/models/../private",
        f"{ACCOUNT}/models/%2e%2e/private",
        f"{ACCOUNT}/models/..%5Cprivate",
        "https://other.blob.core.windows.net/models",
        "http://team.blob.core.windows.net/models",
    ],
)
def test_workload_identity_opens_no_other_location(url: str) -> None:
    """The error names the administrator's setting."""
    message = r"is not among the containers .* trainer\.modelStore\.containers \(VOTT_MODEL_CONTAINERS\), as a URL"
    with pytest.raises(UploadRefusedError, match=message):
        resolve(url, access(f"{ACCOUNT}/models", "*", connection="", **IDENTITY), NOW)


@pytest.mark.parametrize("path", ["/", "/model.tgz"])
def test_url_without_a_container_is_refused(path: str) -> None:
    with pytest.raises(InvalidURLError, match=re.escape(f"{ACCOUNT}{path} names no container")):
        resolve(f"{ACCOUNT}{path}?{SAS}", StorageAccess(), NOW)


def test_single_files_below_a_link_for_one_blob_are_refused() -> None:
    with pytest.raises(InvalidURLError, match=r"models/cats/ ends with a slash, .* \(sr=b\)"):
        resolve(f"{ACCOUNT}/models/cats/?sr=b&{SAS}", StorageAccess(), NOW)


@pytest.mark.parametrize("environment", [{}, IDENTITY])
@pytest.mark.parametrize("url", ["https://uploads.example/7", "http://localhost:8000/out"])
def test_error_for_another_server_does_not_mention_a_sas(url: str, environment: dict[str, str]) -> None:
    with pytest.raises(UploadRefusedError, match=f"^{url} is neither an Azure container nor a bucket"):
        resolve(url, StorageAccess(environment=environment), NOW)


def test_broken_connection_string_is_not_shown() -> None:
    with pytest.raises(InvalidParametersError) as error:
        resolve(f"{ACCOUNT}/models", access("*", connection="AccountKey=SECRET"), NOW)
    assert str(error.value) == "AZURE_STORAGE_CONNECTION_STRING is not a storage connection string."


AMAZON = "s3.eu-west-1.amazonaws.com"
MINIO = {"AWS_ENDPOINT_URL": "https://minio.example:9000"}


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("s3://models", {}, "s3://models/model.tgz"),
        ("s3://models/cats/1", {}, "s3://models/cats/1/model.tgz"),
        ("s3://models/cats/id.tgz", {}, "s3://models/cats/id.tgz"),
        ("s3://models/cats/", {}, "s3://models/cats/"),
        (f"https://models.{AMAZON}/cats", {}, f"https://models.{AMAZON}/cats/model.tgz"),
        (f"https://{AMAZON}/models/cats", {}, f"https://{AMAZON}/models/cats/model.tgz"),
        ("https://models.s3.amazonaws.com/cats", {}, "https://models.s3.amazonaws.com/cats/model.tgz"),
        (
            "https://models.s3.dualstack.eu-west-1.amazonaws.com",
            {},
            "https://models.s3.dualstack.eu-west-1.amazonaws.com/model.tgz",
        ),
        ("https://minio.example:9000/models/cats", MINIO, "https://minio.example:9000/models/cats/model.tgz"),
        ("https://models.minio.example:9000/cats", MINIO, "https://models.minio.example:9000/cats/model.tgz"),
        ("s3://models/cats", MINIO, "s3://models/cats/model.tgz"),
    ],
)
def test_bucket_is_parsed_from_every_form_of_its_url(url: str, environment: dict[str, str], expected: str) -> None:
    destination = resolve(url, bucket_access("models", **environment), NOW)
    assert location(destination) == expected
    assert (destination.readable, destination.is_prefix) == (True, not expected.endswith("id.tgz"))


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("models", "s3://other"),
        ("model", "s3://models"),
        ("models/cats", "s3://models"),
        ("models/cats", "s3://models/catsanddogs"),
        ("models", "https://other.s3.amazonaws.com/models"),
        ("models", "https://s3.amazonaws.com/other/models"),
    ],
)
def test_bucket_that_is_not_listed_is_refused(listed: str, url: str) -> None:
    with pytest.raises(UploadRefusedError, match="is not among those that models may go to without a presigned link"):
        resolve(url, bucket_access(listed), NOW)


@pytest.mark.parametrize("url", ["s3://models/cats", "s3://models/cats/dogs", "https://models.s3.amazonaws.com/cats"])
def test_bucket_may_be_listed_with_a_prefix(url: str) -> None:
    resolve(url, bucket_access("models/cats"), NOW)


@pytest.mark.parametrize(
    "url", ["s3://models/../other", "s3://models/%2e%2e/other", "s3://models/a//b", "s3:///models"]
)
def test_path_that_leads_out_of_the_bucket_is_refused(url: str) -> None:
    with pytest.raises(InvalidURLError, match="names no bucket, or has an empty part"):
        resolve(url, bucket_access("*"), NOW)


def test_with_an_endpoint_amazons_bucket_of_the_same_name_is_refused() -> None:
    with pytest.raises(UploadRefusedError, match="nor a bucket of this installation"):
        resolve("https://models.s3.amazonaws.com/cats", bucket_access("models", **MINIO), NOW)


def test_bucket_without_an_identity_is_refused() -> None:
    with pytest.raises(UploadRefusedError, match="has no identity to write to s3://models"):
        resolve("s3://models", StorageAccess(buckets=frozenset({"models"})), NOW)


@pytest.mark.parametrize(
    "url",
    [
        f"https://models.s3.amazonaws.com/a/id.tgz?{PRESIGNED}",
        "https://storage.googleapis.com/models/id.tgz?X-Goog-Signature=SECRET",
        "https://models.s3.amazonaws.com/id.tgz?AWSAccessKeyId=id&Signature=SECRET&Expires=1780272001",
        "https://uploads.example/one?token=SECRET",
        "https://uploads.example/one?sig=SECRET",
    ],
)
def test_presigned_link_is_accepted(url: str) -> None:
    destination = resolve(url, StorageAccess(), NOW)
    assert destination.store.location == url.partition("?")[0]
    assert (destination.is_prefix, destination.readable) == (False, False)


GOOGLE = "X-Goog-Signature=SECRET&X-Goog-SignedHeaders=host"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (PRESIGNED.replace("Date=20260601", "Date=20260531"), "the link expired at 2026-05-31 01:00 UTC"),
        (f"{GOOGLE}&X-Goog-Date=20260531T000000Z&X-Goog-Expires=3600", "the link expired at 2026-05-31 01:00 UTC"),
        ("AWSAccessKeyId=id&Signature=SECRET&Expires=1780185600", "the link expired at 2026-05-31 00:00 UTC"),
        (
            PRESIGNED.replace("SignedHeaders=host", "SignedHeaders=content-type%3Bhost"),
            "signed for the headers content-type; sign it for the host alone",
        ),
    ],
)
def test_unusable_presigned_link_is_refused_before_training(query: str, message: str) -> None:
    with pytest.raises(UploadRefusedError, match=message) as error:
        resolve(f"https://models.s3.amazonaws.com/id.tgz?{query}", StorageAccess(), NOW)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://a/b", True),
        ("http://a/b?c", True),
        ("s3://bucket", True),
        ("s3://bucket/prefix/", True),
        ("s3:///prefix", False),
        ("gs://bucket", False),
        ("/folder", False),
        ("file:///folder", False),
    ],
)
def test_destination_is_http_or_s3(url: str, accepted: bool) -> None:
    assert is_destination(url) is accepted


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [("/out", "/out", "model.tgz"), ("/out/", "/out", ""), ("/out/cats.tgz", "/out", "cats.tgz")],
)
def test_folder_gets_what_a_container_gets(path: str, folder: str, name: str) -> None:
    destination = resolve(path, StorageAccess(), NOW)
    assert (destination.store.location, destination.name) == (folder, name)


def test_folder_is_refused_with_a_trainingjob() -> None:
    arguments = ["--annotations", "https://h/a.csv", "--model", "/out"]
    settings = parse(arguments, {})
    assert isinstance(settings, TrainSettings)
    assert settings.model == "/out"
    with pytest.raises(InvalidURLError, match=r"--model: expected a URL .*s3://, found '/out'"):
        parse([*arguments, "--trainingjob", "default/cats"], {})


def examples() -> list[str]:
    page = (Path(__file__).parents[3] / "docs" / "destinations.md").read_text()
    return re.findall(r'"model": "([^"]+)"', page)


@pytest.mark.parametrize("url", examples())
def test_every_example_of_the_page_is_accepted(url: str) -> None:
    connection = CONNECTION.replace("team", "acme")
    resolve(
        url.replace("<SAS>", SAS), StorageAccess(connection, frozenset({"models"}), frozenset({"models"}), KEYS), NOW
    )


def test_the_page_shows_every_kind_of_destination() -> None:
    assert len(examples()) == 6
