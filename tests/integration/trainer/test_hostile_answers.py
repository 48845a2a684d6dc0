"""Servers that answer to do harm: too slowly, without end, with bombs and lies. No way that a message has may hang, or fill memory or disk."""

import re
import tracemalloc
from pathlib import Path

import pytest

from tests.integration.trainer.ways import (
    IMAGE_BYTES,
    READING,
    WAYS,
    Way,
    annotations,
    callback,
    container,
    image,
    link,
)
from tests.support import hostile_server as hostile
from tests.support.hostile_server import Answer, HostileServer, bomb, head, whole

pytestmark = pytest.mark.usefixtures("no_waits")

MEMORY = 48 << 20  # bytes; the bombs are of 128 MiB
GZIP, TWICE, DEFLATE = "Content-Encoding: gzip", "Content-Encoding: gzip, gzip", "Content-Encoding: deflate"
JSON = "Content-Type: application/json"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment for every request."""
    monkeypatch.setattr("vott_trainer.file_download.SECONDS", 0.5)
    for module in ("data.image_download", "progress.callback", "stores.link", "stores.azure_transport"):
        monkeypatch.setattr(f"vott_trainer.{module}.SECONDS", 0.5)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vott_trainer.training_run.MAX_ANNOTATIONS_BYTES", IMAGE_BYTES)
    monkeypatch.setattr("vott_trainer.training_run.MAX_FILE_BYTES", IMAGE_BYTES)
    monkeypatch.setattr("vott_trainer.stores.presigned_put.MAX_OBJECT_BYTES", IMAGE_BYTES)
    monkeypatch.setattr("vott_trainer.stores.azure.transport.MAX_PART_BYTES", IMAGE_BYTES)


def said(way: Way, answer: Answer, folder: Path, *, attempts: int | None = None) -> str:
    """What the trainer says of a server, having kept little in memory and nothing on the disk."""
    answer()  # a bomb takes memory to be made
    tracemalloc.start()
    with HostileServer(answer) as server, pytest.raises(Exception, match=r".") as error:
        way(f"{server.url}/x", folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY
    assert attempts in (None, len(server.heads))
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 100
    return str(error.value)


SLOW = [hostile.silence, hostile.dribbled_headers, hostile.dribbled_body, hostile.endless_continues]


@pytest.mark.parametrize("way", READING)
@pytest.mark.parametrize("answer", SLOW)
@pytest.mark.usefixtures("hurried")
def test_slow_answer_ends_with_the_time_for_it(way: Way, answer: Answer, tmp_path: Path) -> None:
    assert "not complete within" in said(way, answer, tmp_path, attempts=1)


@pytest.mark.parametrize("way", [callback, link, container])
@pytest.mark.parametrize("answer", [hostile.silence, hostile.dribbled_headers, hostile.endless_continues])
@pytest.mark.usefixtures("hurried")
def test_slow_answer_to_what_was_sent_ends_with_the_time_for_it(way: Way, answer: Answer, tmp_path: Path) -> None:
    words = said(way, answer, tmp_path, attempts=None if way is container else 1)
    assert re.search("no answer|can't be reached", words)


@pytest.mark.parametrize("way", READING)
@pytest.mark.parametrize("answer", [hostile.endless_body, hostile.endless_chunks])
def test_endless_body_ends_at_the_limit(way: Way, answer: Answer, tmp_path: Path) -> None:
    assert "larger than the limit of 8 MiB" in said(way, answer, tmp_path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [hostile.endless_headers, hostile.endless_header, hostile.endless_chunk_size])
def test_endless_line_is_given_up(way: Way, answer: Answer, tmp_path: Path) -> None:
    if answer is not hostile.endless_chunk_size or way not in (callback, link):  # these leave the body where it is
        said(way, answer, tmp_path)


def callback_reads_no_body(answer: Answer, folder: Path) -> None:
    answer()
    with HostileServer(answer) as server:
        callback(f"{server.url}/x", folder)


@pytest.mark.parametrize("answer", [hostile.endless_body, hostile.endless_chunks, hostile.dribbled_body, bomb(GZIP)])
def test_body_of_a_callbacks_answer_is_left_where_it_is(answer: Answer, tmp_path: Path) -> None:
    callback_reads_no_body(answer, tmp_path)


@pytest.mark.parametrize("way", READING)
@pytest.mark.parametrize("answer", [bomb(GZIP), bomb(DEFLATE, container=15), bomb(DEFLATE, container=-15)])
def test_bomb_ends_at_the_limit(way: Way, answer: Answer, tmp_path: Path) -> None:
    assert "larger than the limit of 8 MiB" in said(way, answer, tmp_path)


@pytest.mark.parametrize("way", READING)
@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate, gzip", "br", "zstd", "compress"])
def test_what_is_packed_in_an_unusual_way_is_refused(way: Way, encoding: str, tmp_path: Path) -> None:
    packed = bomb(f"Content-Encoding: {encoding}", times=2)
    assert "the answer's compression is broken or unusual" in said(way, packed, tmp_path)


@pytest.mark.parametrize("way", [link, container])
@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable"])
@pytest.mark.parametrize("kind", ["endless", "bomb", "twice"])
def test_refusal_of_any_size_is_only_a_refusal(way: Way, status: str, kind: str, tmp_path: Path) -> None:
    bodies: dict[str, Answer] = {
        "endless": lambda: [head("Connection: close", status=status), *[hostile.MEBIBYTE] * 64],
        "bomb": bomb(GZIP, status=status),
        "twice": bomb(TWICE, status=status, times=2),
    }
    said(way, bodies[kind], tmp_path)


@pytest.mark.parametrize("way", READING)
@pytest.mark.parametrize("kind", ["endless", "bomb"])
def test_body_of_a_redirect_is_not_read(way: Way, kind: str, tmp_path: Path) -> None:
    status = "302 Found"
    bodies: dict[str, Answer] = {
        "endless": lambda: [head("Location: /x", "Connection: close", status=status), *[hostile.MEBIBYTE] * 64],
        "bomb": bomb("Location: /x", GZIP, status=status),
    }
    assert "redirects without end" in said(way, bodies[kind], tmp_path)


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


@pytest.mark.parametrize("way", [annotations, image])
@pytest.mark.parametrize("lie", LIES)
def test_lies_about_an_answer_end_in_words(way: Way, lie: str, tmp_path: Path) -> None:
    assert said(way, LIES[lie], tmp_path)


@pytest.mark.parametrize("lie", ["too large", "no status", "status of letters", "nothing"])
@pytest.mark.parametrize("way", [link, container])
def test_lies_about_what_was_sent_are_no_success(way: Way, lie: str, tmp_path: Path) -> None:
    refusing = {"too large": whole("Content-Length: 99999999999999999999", status="403 Forbidden")}
    assert said(way, refusing.get(lie, LIES[lie]), tmp_path)


def test_part_of_a_blob_that_is_larger_than_asked_for_is_not_kept(tmp_path: Path) -> None:
    def get(url: str, folder: Path) -> object:
        from vott_trainer.stores.azure.store import container_by_sas

        return container_by_sas(f"{url}/models", "sp=rw&sig=SECRET").get("model.tgz", folder / "found")

    for answer in (bomb(GZIP), hostile.endless_chunks):
        assert "is too large" in said(get, answer, tmp_path)


def test_model_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    def get(url: str, folder: Path) -> object:
        from vott_trainer.stores.presigned_put import PresignedPutStore

        return PresignedPutStore(f"{url}?token=SECRET").get("model.tgz", folder / "found")

    for answer in (bomb(GZIP), hostile.endless_chunks, hostile.endless_body):
        assert "is too large" in said(get, answer, tmp_path)
