"""Hostile responses: slow, endless, decompression bombs and lies. No request for a message's URL may hang, or fill memory or disk."""

import re
import tracemalloc
from pathlib import Path

import pytest

from tests.integration.trainer.outgoing_requests import (
    DOWNLOADS,
    IMAGE_BYTES,
    POSTS_AND_UPLOADS,
    REQUESTS,
    SendRequest,
    fetch_annotations,
    fetch_image,
    post_callback,
    put_to_presigned_url,
    upload_blob,
)
from tests.support import hostile_server as hostile
from tests.support.hostile_server import Answer, HostileServer, bomb, head, whole

pytestmark = pytest.mark.usefixtures("no_retry_delays")

MAX_MEMORY_BYTES = 48 << 20  # a bomb unpacks to 128 MiB
GZIP, TWICE, DEFLATE = "Content-Encoding: gzip", "Content-Encoding: gzip, gzip", "Content-Encoding: deflate"


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every request half a second."""
    monkeypatch.setattr("vott_trainer.file_download.SECONDS", 0.5)
    monkeypatch.setattr("vott_trainer.progress.callback.POST_SECONDS", 0.5)
    for module in ("data.image_download", "stores.presigned_put", "stores.azure.transport"):
        monkeypatch.setattr(f"vott_trainer.{module}.SECONDS", 0.5)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vott_trainer.data.dataset_fetch.MAX_ANNOTATIONS_BYTES", IMAGE_BYTES)
    monkeypatch.setattr("vott_trainer.training_run.MAX_FILE_BYTES", IMAGE_BYTES)
    monkeypatch.setattr("vott_trainer.stores.presigned_put.MAX_OBJECT_BYTES", IMAGE_BYTES)
    monkeypatch.setattr("vott_trainer.stores.azure.transport.MAX_PART_BYTES", IMAGE_BYTES)


def failure(send_request: SendRequest, answer: Answer, folder: Path, *, attempts: int | None = None) -> str:
    """Send a request; return the text of its error. The trainer may keep little in memory and nothing on disk."""
    answer()  # making a bomb takes memory
    tracemalloc.start()
    with HostileServer(answer) as server, pytest.raises(Exception, match=r".") as error:
        send_request(f"{server.url}/x", folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MAX_MEMORY_BYTES
    assert attempts in (None, len(server.heads))
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 100
    return str(error.value)


SLOW = [hostile.silence, hostile.dribbled_headers, hostile.dribbled_body, hostile.endless_continues]


@pytest.mark.parametrize("send_request", DOWNLOADS)
@pytest.mark.parametrize("answer", SLOW)
@pytest.mark.usefixtures("short_timeouts")
def test_slow_download_ends_at_its_timeout(send_request: SendRequest, answer: Answer, tmp_path: Path) -> None:
    assert "not complete within" in failure(send_request, answer, tmp_path, attempts=1)


@pytest.mark.parametrize("send_request", POSTS_AND_UPLOADS)
@pytest.mark.parametrize("answer", [hostile.silence, hostile.dribbled_headers, hostile.endless_continues])
@pytest.mark.usefixtures("short_timeouts")
def test_slow_response_to_a_post_or_upload_ends_at_its_timeout(
    send_request: SendRequest, answer: Answer, tmp_path: Path
) -> None:
    error = failure(send_request, answer, tmp_path, attempts=None if send_request is upload_blob else 1)
    assert re.search("no answer|can't be reached", error)


@pytest.mark.parametrize("send_request", DOWNLOADS)
@pytest.mark.parametrize("answer", [hostile.endless_body, hostile.endless_chunks])
def test_endless_body_ends_at_the_limit(send_request: SendRequest, answer: Answer, tmp_path: Path) -> None:
    assert "larger than the limit of 8 MiB" in failure(send_request, answer, tmp_path)


@pytest.mark.parametrize("send_request", REQUESTS)
@pytest.mark.parametrize("answer", [hostile.endless_headers, hostile.endless_header, hostile.endless_chunk_size])
def test_endless_headers_and_chunk_sizes_end_the_request(
    send_request: SendRequest, answer: Answer, tmp_path: Path
) -> None:
    if answer is not hostile.endless_chunk_size or send_request not in (
        post_callback,
        put_to_presigned_url,
    ):  # these don't read the body
        failure(send_request, answer, tmp_path)


@pytest.mark.parametrize("answer", [hostile.endless_body, hostile.endless_chunks, hostile.dribbled_body, bomb(GZIP)])
def test_response_body_of_a_callback_is_not_read(answer: Answer, tmp_path: Path) -> None:
    answer()
    with HostileServer(answer) as server:
        post_callback(f"{server.url}/x", tmp_path)


@pytest.mark.parametrize("send_request", DOWNLOADS)
@pytest.mark.parametrize("answer", [bomb(GZIP), bomb(DEFLATE, container=15), bomb(DEFLATE, container=-15)])
def test_bomb_ends_at_the_limit(send_request: SendRequest, answer: Answer, tmp_path: Path) -> None:
    assert "larger than the limit of 8 MiB" in failure(send_request, answer, tmp_path)


@pytest.mark.parametrize("send_request", DOWNLOADS)
@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate, gzip", "br", "zstd", "compress"])
def test_unusual_content_encoding_is_refused(send_request: SendRequest, encoding: str, tmp_path: Path) -> None:
    packed = bomb(f"Content-Encoding: {encoding}", times=2)
    assert "the response's content encoding is invalid or unusual" in failure(send_request, packed, tmp_path)


@pytest.mark.parametrize("send_request", [put_to_presigned_url, upload_blob])
@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable"])
@pytest.mark.parametrize("kind", ["endless", "bomb", "twice"])
def test_error_response_of_any_size_is_an_error(
    send_request: SendRequest, status: str, kind: str, tmp_path: Path
) -> None:
    bodies: dict[str, Answer] = {
        "endless": lambda: [head("Connection: close", status=status), *[hostile.MEBIBYTE] * 64],
        "bomb": bomb(GZIP, status=status),
        "twice": bomb(TWICE, status=status, times=2),
    }
    failure(send_request, bodies[kind], tmp_path)


@pytest.mark.parametrize("send_request", DOWNLOADS)
@pytest.mark.parametrize("kind", ["endless", "bomb"])
def test_body_of_a_redirect_is_not_read(send_request: SendRequest, kind: str, tmp_path: Path) -> None:
    status = "302 Found"
    bodies: dict[str, Answer] = {
        "endless": lambda: [head("Location: /x", "Connection: close", status=status), *[hostile.MEBIBYTE] * 64],
        "bomb": bomb("Location: /x", GZIP, status=status),
    }
    assert "redirects without end" in failure(send_request, bodies[kind], tmp_path)


LIES = {
    "too long": whole("Content-Length: 100", body=b"x"),
    "too large": whole("Content-Length: 99999999999999999999", body=b"x"),
    "negative": whole("Content-Length: -1", "Connection: close", body=b"x"),
    "no number": whole("Content-Length: many", body=b"x"),
    "two": whole("Content-Length: 1", "Content-Length: 2", body=b"xy"),
    "no gzip": whole(GZIP, "Content-Length: 4", body=b"text"),
    "cut chunk": whole("Transfer-Encoding: chunked", body=b"10\r\nabc"),
    "no status": lambda: [b"hello\r\n\r\n"],
    "status of letters": lambda: [head(status="OK OK")],
    "nothing": list,
}


@pytest.mark.parametrize("send_request", [fetch_annotations, fetch_image])
@pytest.mark.parametrize("lie", LIES)
def test_invalid_response_is_an_error(send_request: SendRequest, lie: str, tmp_path: Path) -> None:
    assert failure(send_request, LIES[lie], tmp_path)


@pytest.mark.parametrize("lie", ["too large", "no status", "status of letters", "nothing"])
@pytest.mark.parametrize("send_request", [put_to_presigned_url, upload_blob])
def test_invalid_response_to_an_upload_is_an_error(send_request: SendRequest, lie: str, tmp_path: Path) -> None:
    error_responses = {"too large": whole("Content-Length: 99999999999999999999", status="403 Forbidden")}
    assert failure(send_request, error_responses.get(lie, LIES[lie]), tmp_path)


def test_blob_part_larger_than_requested_is_not_kept(tmp_path: Path) -> None:
    def get(url: str, folder: Path) -> object:
        from vott_trainer.stores.azure.store import container_by_sas

        return container_by_sas(f"{url}/models", "sp=rw&sig=SECRET").get("model.tgz", folder / "found")

    for answer in (bomb(GZIP), hostile.endless_chunks):
        assert "is too large" in failure(get, answer, tmp_path)


def test_model_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    def get(url: str, folder: Path) -> object:
        from vott_trainer.stores.presigned_put import PresignedPutStore

        return PresignedPutStore(f"{url}?token=SECRET").get("model.tgz", folder / "found")

    for answer in (bomb(GZIP), hostile.endless_chunks, hostile.endless_body):
        assert "is too large" in failure(get, answer, tmp_path)
