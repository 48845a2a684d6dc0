"""Servers that send the trainer elsewhere: by every way that a message has, over real sockets."""

import contextlib
from pathlib import Path

import pytest

from tests.integration.trainer.ways import READING, WAYS, Way, callback, container, link
from tests.support.http_server import Answer, HttpServer

pytestmark = pytest.mark.usefixtures("no_waits")

ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data",
    "//169.254.169.254/latest/meta-data",
    "http://[::ffff:169.254.169.254]/",
    "https://store.example/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "http://user:SECRET@127.0.0.1/",
    "{other}/x",
    "{other_name}/x",
]  # fmt: skip


@pytest.mark.parametrize("way", READING)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_within_a_server_is_followed(way: Way, status: int, server: HttpServer, tmp_path: Path) -> None:
    server.always["/x"] = Answer(status, headers={"Location": "/there"})
    with contextlib.suppress(Exception):
        way(f"{server.url}/x", tmp_path)
    assert [request.path for request in server.requests][:2] == ["/x", "/there"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_way_follows_a_redirect_to_elsewhere(
    way: Way, status: int, target: str, server: HttpServer, tmp_path: Path
) -> None:
    with HttpServer() as other:
        by_name = other.url.replace("127.0.0.1", "localhost")
        location = target.format(other=other.url, other_name=by_name)
        for path in ("/x", "/x/models/model.tgz"):
            server.always[path] = Answer(status, headers={"Location": location})
        with pytest.raises(Exception, match=r".") as error:
            way(f"{server.url}/x", tmp_path)
        assert other.requests == []
    assert "SECRET" not in str(error.value)
    assert len({request.path for request in server.requests}) == 1


@pytest.mark.parametrize("way", [callback, link, container])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_is_sent_is_never_sent_a_second_time_for_a_redirect(
    way: Way, status: int, server: HttpServer, tmp_path: Path
) -> None:
    for path in ("/x", "/x/models/model.tgz"):
        server.always[path] = Answer(status, headers={"Location": f"{server.url}/there"})
    with pytest.raises(Exception, match=f"HTTP {status}"):
        way(f"{server.url}/x", tmp_path)
    assert "/there" not in {request.path for request in server.requests}


@pytest.mark.parametrize("way", READING)
def test_redirects_in_a_circle_end(way: Way, server: HttpServer, tmp_path: Path) -> None:
    server.always["/x"] = Answer(302, headers={"Location": "/x"})
    with pytest.raises(Exception, match="redirects without end"):
        way(f"{server.url}/x", tmp_path)
    assert len(server.requests) < 10
