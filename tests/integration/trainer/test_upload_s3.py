"""Upload of the model to S3: every form of URL, IAM permissions, presigned URLs, own certificates and web identities."""

import base64
import hashlib
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store as Client

from localcluster.pki import Authority
from tests.integration.trainer.model_archives import ARCHIVE_CONTENT
from tests.support.annotated_images import serve_annotated
from tests.support.http_server import Answer, HttpServer
from tests.support.s3_server import ANY_KEYS, REGION, Keys, S3Server
from tests.support.trainer_process import run_trainer
from vott_trainer.errors import TemporaryFailureError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.destination_url import resolve
from vott_trainer.stores.s3 import options
from vott_trainer.stores.store import StoredObject

BUCKET = "models"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as running:
        running.bucket(BUCKET)
        yield running


@pytest.fixture
def permission_server(s3_server: S3Server) -> Iterator[S3Server]:
    """The same server; the test may turn on its checks of signatures and permissions."""
    yield s3_server
    s3_server.check_permissions(on=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "report.html").write_text("<p>Fine.</p>")
    (folder / "labels.txt").write_text("cat\n")
    return folder


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "RETRIES", {"max_retries": 2, "backoff": {"init_backoff": timedelta(milliseconds=10)}})


def destination(s3_server: S3Server, url: str, keys: Keys = ANY_KEYS, **environment: str) -> Destination:
    access = StorageAccess(buckets=frozenset(["*"]), environment={**s3_server.environment(keys), **environment})
    return resolve(url, access)


def upload(archive: Path, to: Destination) -> StoredObject:
    return to.store.put(archive, to.name)


@pytest.mark.parametrize("form", ["s3://models/{0}", "{1}/models/{0}"])
@pytest.mark.parametrize(("path", "key"), [("cats", "cats/model.tgz"), ("a%20b/%C3%BC.tgz", "a b/ü.tgz")])
def test_model_is_uploaded_to_a_bucket(form: str, path: str, key: str, s3_server: S3Server, archive: Path) -> None:
    url = form.format(path, s3_server.url)
    stored = upload(archive, destination(s3_server, url))
    assert s3_server.content(BUCKET, key) == ARCHIVE_CONTENT
    assert stored.url == (url if url.endswith(".tgz") else f"{url}/model.tgz")
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(ARCHIVE_CONTENT).hexdigest(), len(ARCHIVE_CONTENT))


def test_bucket_in_the_host_name_is_supported(
    s3_server: S3Server, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", s3_server.url)  # the host need not resolve: the server acts as a proxy
    to = destination(s3_server, "http://models.s3.amazonaws.com/host", AWS_ENDPOINT_URL="http://s3.amazonaws.com")
    upload(archive, to)
    assert s3_server.content(BUCKET, "host/model.tgz") == ARCHIVE_CONTENT


def test_report_is_uploaded_beside_the_model(s3_server: S3Server, model: Path, tmp_path: Path) -> None:
    s3_server.bucket("beside")
    destination(s3_server, "s3://beside/cats").deliver(model, tmp_path)
    assert s3_server.keys_in("beside") == ["cats/model.tgz", "cats/report.html"]
    assert s3_server.headers("beside", "cats/report.html")["content-type"] == "text/html; charset=utf-8"


def test_single_files_are_uploaded_to_a_prefix_that_ends_with_a_slash(
    s3_server: S3Server, model: Path, tmp_path: Path
) -> None:
    s3_server.bucket("single")
    uploaded = destination(s3_server, "s3://single/cats/").deliver(model, tmp_path)
    assert s3_server.keys_in("single") == ["cats/labels.txt", "cats/manifest.json", "cats/report.html"]
    assert uploaded.url == "s3://single/cats/manifest.json"


def test_large_model_is_uploaded_in_parts(s3_server: S3Server, archive: Path) -> None:
    content = bytes(range(256)) * (40 << 12)  # 40 MiB
    archive.write_bytes(content)
    s3_server.bucket("large")
    stored = upload(archive, destination(s3_server, "s3://large"))
    assert hashlib.sha256(s3_server.content("large", "model.tgz")).hexdigest() == stored.sha256
    assert s3_server.headers("large", "model.tgz")["ETag"].strip('"').endswith("-3")  # in S3, the number of parts
    assert s3_server.unfinished_uploads("large") == []


def test_upload_sends_a_checksum_and_compares_the_size(server: HttpServer, archive: Path) -> None:
    headers = {"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    to = bucket_that_answers(server, Answer(headers=headers))  # it stores nothing
    with pytest.raises(TemporaryFailureError, match="does not hold what was sent"):
        upload(archive, to)
    sent_headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
    assert base64.b64decode(sent_headers["x-amz-checksum-sha256"]) == hashlib.sha256(ARCHIVE_CONTENT).digest()


def test_uploaded_model_is_found(s3_server: S3Server, archive: Path, tmp_path: Path) -> None:
    s3_server.bucket("look")
    to = destination(s3_server, "s3://look")
    assert to.find(tmp_path) is None
    assert to.version() is None
    uploaded = upload(archive, to)
    assert to.version() == to.version() != ""
    found = to.find(tmp_path)
    assert found is not None
    assert (found.url, found.sha256, found.size_bytes) == (uploaded.url, uploaded.sha256, uploaded.size_bytes)


def test_model_is_uploaded_with_write_permission_only(permission_server: S3Server, archive: Path) -> None:
    keys = permission_server.user("writer", allow=["s3:PutObject"])
    permission_server.check_permissions(on=True)
    upload(archive, destination(permission_server, "s3://models/written", keys))
    permission_server.check_permissions(on=False)
    assert permission_server.content(BUCKET, "written/model.tgz") == ARCHIVE_CONTENT


def test_objects_are_stored_without_permission_to_list(
    permission_server: S3Server, archive: Path, tmp_path: Path
) -> None:
    keys = permission_server.user("keeper", allow=["s3:PutObject", "s3:GetObject", "s3:DeleteObject"])
    permission_server.check_permissions(on=True)
    store = destination(permission_server, "s3://models/kept", keys).store
    copy = tmp_path / "copy"
    assert not store.get("a", copy)
    store.put(archive, "a")
    assert store.get("a", copy)
    assert copy.read_bytes() == ARCHIVE_CONTENT
    store.delete("a")
    assert not store.get("a", copy)


def bucket_that_answers(server: HttpServer, answer: Answer) -> Destination:
    """A bucket on a server with a response that moto does not give."""
    server.always["/models/model.tgz"] = answer
    environment = {"AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "SECRET"}
    return resolve("s3://models", StorageAccess(buckets=frozenset([BUCKET]), environment=environment))


def test_forbidden_object_counts_as_missing_without_permission_to_list(server: HttpServer, tmp_path: Path) -> None:
    to = bucket_that_answers(server, Answer(403, b"<Error><Code>AccessDenied</Code></Error>"))
    assert to.find(tmp_path) is None


def test_invalid_key_is_an_error_and_not_a_missing_object(server: HttpServer, tmp_path: Path) -> None:
    to = bucket_that_answers(server, Answer(403, b"<Error><Code>ExpiredToken</Code></Error>"))
    with pytest.raises(UploadRefusedError, match=r"Reading s3://models/model\.tgz was refused: HTTP 403 ExpiredToken"):
        to.find(tmp_path)
    with pytest.raises(UploadRefusedError, match="ExpiredToken"):
        to.version()


def test_missing_delete_permission_is_reported(permission_server: S3Server) -> None:
    keys = permission_server.user("adder", allow=["s3:PutObject"])
    permission_server.check_permissions(on=True)
    with pytest.raises(UploadRefusedError, match=r"Deleting s3://models/x/a was refused: HTTP 403 AccessDenied"):
        destination(permission_server, "s3://models/x", keys).store.delete("a")


def refusal(archive: Path, to: Destination) -> str:
    with pytest.raises(UploadRefusedError) as error:
        upload(archive, to)
    return str(error.value)


def test_missing_permission_is_reported(permission_server: S3Server, archive: Path) -> None:
    keys = permission_server.user("reader", allow=["s3:GetObject"])
    permission_server.check_permissions(on=True)
    assert refusal(archive, destination(permission_server, "s3://models/x", keys)) == (
        "The upload to s3://models/x/model.tgz was refused: HTTP 403 AccessDenied. "
        "The trainer's own identity has no permission for it. "
        "Correct the URL, or ask the administrator to let the trainer's own identity read and write there."
    )


def test_wrong_key_is_reported_without_the_key(permission_server: S3Server, archive: Path) -> None:
    keys = permission_server.user("mistaken", allow=["s3:*"])
    permission_server.check_permissions(on=True)
    error = refusal(archive, destination(permission_server, "s3://models/x", Keys(keys.access_key_id, "another's")))
    assert "HTTP 403 SignatureDoesNotMatch" in error
    assert keys.access_key_id not in error


def test_missing_bucket_is_reported(s3_server: S3Server, archive: Path) -> None:
    assert "HTTP 404 NoSuchBucket. The container or bucket does not exist." in refusal(
        archive, destination(s3_server, "s3://nowhere")
    )


def test_bucket_in_another_region_is_reported(server: HttpServer, archive: Path) -> None:
    to = bucket_that_answers(server, Answer(301, b"<Error><Code>PermanentRedirect</Code></Error>"))
    assert "The bucket is in another region than AWS_REGION or the URL names" in refusal(archive, to)


def test_unreachable_server_is_a_temporary_failure(unused_url: str, archive: Path) -> None:
    environment = {"AWS_ENDPOINT_URL": unused_url, "AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}
    access = StorageAccess(buckets=frozenset([BUCKET]), environment=environment)
    with pytest.raises(TemporaryFailureError, match=r"s3://models/model.tgz failed: no answer"):
        upload(archive, resolve("s3://models", access))


def test_trainer_uploads_its_model_to_a_listed_bucket(s3_server: S3Server, server: HttpServer) -> None:
    s3_server.bucket("program")
    process = run_trainer(
        *("--plugin", "hello-world", "--annotations", serve_annotated(server, 1), "--model", "s3://program/cats/"),
        VOTT_MODEL_BUCKETS="program",
        **s3_server.environment(),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "model uploaded: s3://program/cats/manifest.json" in process.stdout + process.stderr
    assert {"cats/manifest.json", "cats/metrics.json"} <= set(s3_server.keys_in("program"))


def presigned_url(s3_server: S3Server, key: str) -> str:
    """A presigned URL of another client."""
    client = Client(
        BUCKET,
        endpoint=s3_server.url,
        region=REGION,
        access_key_id=ANY_KEYS.access_key_id,
        secret_access_key=ANY_KEYS.secret_access_key,
        client_options={"allow_http": True},
    )
    return str(obstore.sign(client, "PUT", key, timedelta(hours=1)))


def test_model_is_uploaded_to_a_presigned_url_without_an_identity(
    s3_server: S3Server, model: Path, tmp_path: Path
) -> None:
    """moto does not check the signature; tests/unit/trainer/test_stores_presigned_put.py tests that nothing else is sent."""
    uploaded = resolve(presigned_url(s3_server, "signed/id.tgz"), StorageAccess()).deliver(model, tmp_path)
    assert hashlib.sha256(s3_server.content(BUCKET, "signed/id.tgz")).hexdigest() == uploaded.sha256
    assert uploaded.url == f"{s3_server.url}/models/signed/id.tgz"
    assert not [key for key in s3_server.keys_in(BUCKET) if key.startswith("signed/") and key != "signed/id.tgz"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def https_s3_server(authority: Authority) -> Iterator[S3Server]:
    """A server whose certificate is from `authority`."""
    with S3Server(authority) as running:
        running.bucket(BUCKET)
        yield running


def test_server_certificate_is_trusted_through_aws_ca_bundle(
    https_s3_server: S3Server, authority: Authority, archive: Path
) -> None:
    upload(archive, destination(https_s3_server, "s3://models", AWS_CA_BUNDLE=str(authority.certificate)))
    assert https_s3_server.content(BUCKET, "model.tgz") == ARCHIVE_CONTENT
    with pytest.raises(TemporaryFailureError, match="no answer"):
        upload(archive, destination(https_s3_server, "s3://models"))


class TokenService(HttpServer):
    """The part of STS that web identities need, over https; moto does not support its unsigned requests."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        pair = authority.server("sts", ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        keys = "<AccessKeyId>role</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        result = f"<Credentials>{keys}<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
        name = "AssumeRoleWithWebIdentity"
        self.always["/"] = Answer(
            body=f"<{name}Response><{name}Result>{result}</{name}Result></{name}Response>".encode()
        )

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")


def test_model_is_uploaded_with_the_role_of_a_web_identity(
    https_s3_server: S3Server, authority: Authority, archive: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("pods-token")
    with TokenService(authority) as sts:
        environment = {
            "AWS_ENDPOINT_URL": https_s3_server.url,
            "AWS_ENDPOINT_URL_STS": sts.url,
            "AWS_CA_BUNDLE": str(authority.certificate),
            "AWS_REGION": REGION,
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/trainer",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        }
        upload(archive, resolve("s3://models", StorageAccess(buckets=frozenset([BUCKET]), environment=environment)))
    assert https_s3_server.content(BUCKET, "model.tgz") == ARCHIVE_CONTENT
    assert "role%2Ftrainer" in sts.requests[0].query
    assert "WebIdentityToken=pods-token" in sts.requests[0].query
