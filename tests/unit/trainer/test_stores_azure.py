"""Verification of uploads to Azure."""

import base64
import hashlib
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.errors import TemporaryFailureError
from vott_trainer.stores.azure.store import AzureStore, container_at

CONTENT = b"weights" * 1000
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
STAMPS = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
TAKEN = Answer(201, headers=STAMPS)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.tgz"
    path.write_bytes(CONTENT)
    return path


def store(server: HttpServer) -> AzureStore:
    return container_at(f"{server.url}/account/models", "sig=SECRET")


def stored(length: int, md5: str = MD5) -> Answer:
    return Answer(200, headers={**STAMPS, "Content-MD5": md5, "x-ms-blob-type": "BlockBlob"}, length=length)


def test_upload_sends_its_md5_for_azure_to_compare(server: HttpServer, archive: Path) -> None:
    server.answers["/account/models/model.tgz"] = [TAKEN, stored(len(CONTENT))]
    store(server).put(archive, "model.tgz")
    assert [request.method for request in server.requests] == ["PUT", "HEAD"]
    assert server.requests[0].headers["Content-MD5"] == MD5
    assert server.requests[0].headers["x-ms-blob-content-md5"] == MD5


@pytest.mark.parametrize("answer", [stored(5), stored(len(CONTENT), base64.b64encode(b"0" * 16).decode())])
def test_blob_of_another_size_or_md5_is_a_temporary_failure(answer: Answer, server: HttpServer, archive: Path) -> None:
    server.answers["/account/models/model.tgz"] = [TAKEN, answer]
    with pytest.raises(TemporaryFailureError, match=r"/model\.tgz does not hold what was sent"):
        store(server).put(archive, "model.tgz")


def test_version_of_a_blob_is_its_etag(server: HttpServer) -> None:
    missing = Answer(404, headers={"x-ms-error-code": "BlobNotFound"})
    server.answers["/account/models/model.tgz"] = [missing, stored(5)]
    assert store(server).version("model.tgz") is None
    assert store(server).version("model.tgz") == STAMPS["ETag"]


@pytest.mark.parametrize("status", [401, 403])
def test_link_that_may_not_read_is_enough(status: int, server: HttpServer, archive: Path) -> None:
    server.answers["/account/models/model.tgz"] = [TAKEN, Answer(status)]
    assert store(server).put(archive, "model.tgz").size_bytes == len(CONTENT)
