"""Presigned PUT: the request, verification, retries and errors."""

import hashlib
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.errors import TemporaryFailureError, UploadRefusedError
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.stores.presigned_put import PresignedPutStore

CONTENT = b"weights" * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()
QUERY = "X-Amz-Signature=SECRET"
AT_ONCE = RetryPolicy(attempts=3, sleep=lambda _seconds: None)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.tgz"
    path.write_bytes(CONTENT)
    return path


def link(server: HttpServer, query: str = QUERY) -> PresignedPutStore:
    return PresignedPutStore(f"{server.url}/id.tgz?{query}", AT_ONCE)


def test_upload_is_one_put_without_headers_that_were_not_signed(server: HttpServer, archive: Path) -> None:
    stored = link(server).put(archive, "model.tgz")
    (request,) = server.requests
    assert (request.method, request.path, request.query, request.body) == ("PUT", "/id.tgz", QUERY, CONTENT)
    assert not [name for name in request.headers if name.lower().startswith(("x-amz", "content-md5", "content-type"))]
    assert (stored.url, stored.size_bytes) == (f"{server.url}/id.tgz", len(CONTENT))
    assert stored.sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (QUERY, {"ETag": f'"{MD5}"'}),
        (QUERY, {"ETag": f'"{"0" * 32}"', "x-amz-server-side-encryption": "aws:kms"}),
        (QUERY, {"ETag": f'"{"0" * 32}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"}),
        (QUERY, {"ETag": '"one-of-its-own"'}),
        ("token=SECRET", {"ETag": f'"{"0" * 32}"'}),
    ],
)
def test_etag_that_is_not_an_md5_is_not_compared(
    query: str, headers: dict[str, str], server: HttpServer, archive: Path
) -> None:
    server.always["/id.tgz"] = Answer(headers=headers)
    link(server, query).put(archive, "model.tgz")


@pytest.mark.parametrize("encryption", [{}, {"x-amz-server-side-encryption": "AES256"}])
def test_other_md5_is_a_temporary_failure(encryption: dict[str, str], server: HttpServer, archive: Path) -> None:
    server.always["/id.tgz"] = Answer(headers={"ETag": f'"{"0" * 32}"', **encryption})
    with pytest.raises(TemporaryFailureError, match=r"/id.tgz does not hold what was sent"):
        link(server).put(archive, "model.tgz")


def test_temporary_errors_are_retried(server: HttpServer, archive: Path) -> None:
    server.answers["/id.tgz"] = [Answer(503), Answer(429)]
    link(server).put(archive, "model.tgz")
    assert [request.body for request in server.requests] == [CONTENT] * 3


def test_persistent_error_is_a_temporary_failure(server: HttpServer, archive: Path) -> None:
    server.always["/id.tgz"] = Answer(503)
    with pytest.raises(TemporaryFailureError, match=r"/id.tgz failed: HTTP 503\. Check that the store answers"):
        link(server).put(archive, "model.tgz")


def test_server_that_does_not_answer_is_a_temporary_failure(unused_url: str, archive: Path) -> None:
    with pytest.raises(TemporaryFailureError, match="failed: no answer"):
        PresignedPutStore(f"{unused_url}/id.tgz?token=SECRET", AT_ONCE).put(archive, "model.tgz")


def test_refusal_names_the_error_code_but_not_the_signature(server: HttpServer, archive: Path) -> None:
    body = b"<Error><Code>SignatureDoesNotMatch</Code><StringToSign>SECRET</StringToSign></Error>"
    server.always["/id.tgz"] = Answer(403, body)
    with pytest.raises(
        UploadRefusedError, match=r"HTTP 403 SignatureDoesNotMatch\. The link has expired, may not"
    ) as error:
        link(server).put(archive, "model.tgz")
    assert "SECRET" not in str(error.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirect_is_not_followed(status: int, server: HttpServer, archive: Path) -> None:
    server.always["/id.tgz"] = Answer(status, headers={"Location": f"{server.url}/elsewhere"})
    with pytest.raises(UploadRefusedError, match=f"HTTP {status}"):
        link(server).put(archive, "model.tgz")
    assert {request.path for request in server.requests} == {"/id.tgz"}


def test_version_is_etag_and_modification_time(server: HttpServer) -> None:
    assert link(server).version("model.tgz") is None
    server.serve("/id.tgz", CONTENT)
    assert link(server).version("model.tgz") == ""
    server.always["/id.tgz"] = Answer(200, CONTENT, {"ETag": '"1"', "Last-Modified": "Mon"})
    assert link(server).version("model.tgz") == '"1" Mon'


def test_object_is_read_if_the_link_permits(server: HttpServer, tmp_path: Path) -> None:
    server.serve("/id.tgz", CONTENT)
    copy = tmp_path / "copy"
    assert link(server).get("model.tgz", copy)
    assert copy.read_bytes() == CONTENT
    server.files.clear()
    assert not link(server).get("model.tgz", copy)
    server.always["/id.tgz"] = Answer(403)
    with pytest.raises(
        UploadRefusedError, match=r"Reading .* was refused: HTTP 403\. The link has expired or does not permit it"
    ):
        link(server).get("model.tgz", copy)
