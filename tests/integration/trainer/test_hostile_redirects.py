"""Redirects to other servers: the trainer follows none, for any URL of a message; over real sockets."""

import contextlib
from pathlib import Path

import pytest

from tests.integration.trainer.outgoing_requests import DOWNLOADS, POSTS_AND_UPLOADS, REQUESTS, SendRequest
from tests.support.http_server import Answer, HttpServer

pytestmark = pytest.mark.usefixtures("no_retry_delays")

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


@pytest.mark.parametrize("send_request", DOWNLOADS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_within_a_server_is_followed(
    send_request: SendRequest, status: int, server: HttpServer, tmp_path: Path
) -> None:
    server.always["/x"] = Answer(status, headers={"Location": "/there"})
    with contextlib.suppress(Exception):
        send_request(f"{server.url}/x", tmp_path)
    assert [request.path for request in server.requests][:2] == ["/x", "/there"]


@pytest.mark.parametrize("send_request", REQUESTS)
@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("target", ELSEWHERE)
def test_redirect_to_another_server_is_not_followed(
    send_request: SendRequest, status: int, target: str, server: HttpServer, tmp_path: Path
) -> None:
    with HttpServer() as other:
        by_name = other.url.replace("127.0.0.1", "localhost")
        location = target.format(other=other.url, other_name=by_name)
        for path in ("/x", "/x/models/model.tgz"):
            server.always[path] = Answer(status, headers={"Location": location})
        with pytest.raises(Exception, match=r".") as error:
            send_request(f"{server.url}/x", tmp_path)
        assert other.requests == []
    assert "SECRET" not in str(error.value)
    assert len({request.path for request in server.requests}) == 1


@pytest.mark.parametrize("send_request", POSTS_AND_UPLOADS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_a_post_or_upload_is_not_followed(
    send_request: SendRequest, status: int, server: HttpServer, tmp_path: Path
) -> None:
    for path in ("/x", "/x/models/model.tgz"):
        server.always[path] = Answer(status, headers={"Location": f"{server.url}/there"})
    with pytest.raises(Exception, match=f"HTTP {status}"):
        send_request(f"{server.url}/x", tmp_path)
    assert "/there" not in {request.path for request in server.requests}


@pytest.mark.parametrize("send_request", DOWNLOADS)
def test_redirect_loop_ends(send_request: SendRequest, server: HttpServer, tmp_path: Path) -> None:
    server.always["/x"] = Answer(302, headers={"Location": "/x"})
    with pytest.raises(Exception, match="redirects without end"):
        send_request(f"{server.url}/x", tmp_path)
    assert len(server.requests) < 10
