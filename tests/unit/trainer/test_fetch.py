"""Downloads against a real HTTP server: retries, limits, and what is left on disk."""

from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.http.fetch import FetchError, NotAllowedError, download
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session


class Naps:
    """Remembers the waits instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


def fetch(url: str, path: Path, naps: Naps, limit: int = 1000) -> None:
    with Session(10.0) as session:
        download(session, url, path, limit=limit, policy=RetryPolicy(attempts=3, sleep=naps))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_transient_error_is_retried_until_it_passes(
    status: int, server: HttpServer, tmp_path: Path, naps: Naps
) -> None:
    url = server.serve("/a", b"content")
    server.answers["/a"] = [Answer(status), Answer(status)]
    fetch(url, tmp_path / "a", naps)
    assert (tmp_path / "a").read_bytes() == b"content"
    assert len(naps.seconds) == 2
    assert naps.seconds[1] > naps.seconds[0]


def test_retry_after_may_ask_for_a_longer_delay(server: HttpServer, tmp_path: Path, naps: Naps) -> None:
    url = server.serve("/a", b"content")
    server.answers["/a"] = [Answer(429, headers={"Retry-After": "7"})]
    fetch(url, tmp_path / "a", naps)
    assert naps.seconds == [7.0]


def test_truncated_response_is_downloaded_again(server: HttpServer, tmp_path: Path, naps: Naps) -> None:
    url = server.serve("/a", b"content")
    server.answers["/a"] = [Answer(200, b"con", length=7)]
    fetch(url, tmp_path / "a", naps)
    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize(("status", "words"), [(403, "HTTP 403 Forbidden"), (404, "HTTP 404 Not Found")])
def test_refusal_is_not_retried(status: int, words: str, server: HttpServer, tmp_path: Path, naps: Naps) -> None:
    server.always["/a"] = Answer(status)
    with pytest.raises(FetchError, match=words) as error:
        fetch(server.url + "/a", tmp_path / "a", naps)
    assert not error.value.transient
    assert len(server.requests) == 1


def test_error_after_the_last_attempt_is_transient(server: HttpServer, tmp_path: Path, naps: Naps) -> None:
    server.always["/a"] = Answer(503)
    with pytest.raises(FetchError, match="HTTP 503 Service Unavailable") as error:
        fetch(server.url + "/a", tmp_path / "a", naps)
    assert error.value.transient
    assert len(server.requests) == 3


def test_too_large_file_is_refused_and_deleted(server: HttpServer, tmp_path: Path, naps: Naps) -> None:
    url = server.serve("/a", b"x" * 2001)
    with pytest.raises(FetchError, match="larger than the limit"):
        fetch(url, tmp_path / "a", naps, limit=2000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["images..example", f"{'a' * 64}.example"], ids=["empty label", "long label"])
def test_impossible_host_name_is_refused_at_once(host: str, tmp_path: Path, naps: Naps) -> None:
    with pytest.raises(NotAllowedError, match="that is not an ASCII host name") as error:
        fetch(f"https://{host}/a.jpg", tmp_path / "a", naps)
    assert not error.value.transient
    assert naps.seconds == []


def test_unreachable_server_is_said_without_the_url(unused_url: str, tmp_path: Path, naps: Naps) -> None:
    with pytest.raises(FetchError) as error:
        fetch(f"{unused_url}/a?sig=SECRET", tmp_path / "a", naps)
    assert str(error.value) == "the server can't be reached or closed the connection"
