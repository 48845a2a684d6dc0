"""The last word, sent to a real HTTP server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from vott_operator.callbacks import CallbackSender, payload
from vott_operator.errors import CallbackError
from vott_operator.models import Progress
from vott_operator.settings import CallbackSettings

SETTINGS = CallbackSettings(allow_http=True, timeout_seconds=0.5)


class Receiver:
    """A server that answers as told and remembers what came."""

    def __init__(self) -> None:
        self.answer = web.Response()
        self.posts: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.posts.append((dict(request.headers), await request.json()))
        return self.answer


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def url(receiver: Receiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/status", receiver.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/status"))


async def send(url: str, settings: CallbackSettings = SETTINGS) -> None:
    async with CallbackSender(settings) as sender:
        await sender.send(url, "id-1", payload("cats", "succeeded", "Done.", None))


async def test_the_post_carries_the_seeds_fields_and_standard_webhooks_headers(receiver: Receiver, url: str) -> None:
    await send(url)
    headers, body = receiver.posts[0]
    assert {
        "progress",
        "epoch_current",
        "epoch_total",
        "step_current",
        "step_total",
        "classification_loss",
    } <= body.keys()
    assert (body["progress"], body["state"], body["job"]) == (1.0, "succeeded", "cats")
    assert headers["webhook-id"] == "id-1"
    assert headers["webhook-timestamp"].isdigit()


def test_a_failed_trainings_progress_is_where_it_came_to() -> None:
    progress = Progress(
        percent=42, epoch_current=3, epoch_total=10, step_current=1, step_total=2, classification_loss=0.5
    )
    body = payload("cats", "failed", "Why.", progress)
    assert (body["progress"], body["epoch_current"], body["classification_loss"]) == (0.42, 3, 0.5)


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "retry_after"),
    [
        (500, {}, False, None),
        (404, {}, False, None),
        (429, {"Retry-After": "7"}, False, 7.0),
        (503, {"Retry-After": "garbage"}, False, None),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, False, 0.0),
        (410, {}, True, None),
        (302, {"Location": "http://169.254.169.254/"}, True, None),
    ],
)
async def test_an_answer_decides_about_trying_again(
    receiver: Receiver, url: str, status: int, headers: dict[str, str], permanent: bool, retry_after: float | None
) -> None:
    receiver.answer = web.Response(status=status, headers=headers)
    with pytest.raises(CallbackError) as caught:
        await send(f"{url}?sig=SECRET")
    assert (caught.value.permanent, caught.value.retry_after) == (permanent, retry_after)
    assert "SECRET" not in str(caught.value)
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x?sig=SECRET", "http://no.such.host.invalid/?sig=SECRET"])
async def test_no_answer_is_tried_again_and_hides_the_query(url: str) -> None:
    with pytest.raises(CallbackError) as caught:
        await send(url)
    assert not caught.value.permanent
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://host/s",
        "HTTP://host/s",
        "ftp://host/s",
        "https://u:p@host/s",
        "https://a..b/",
        f"https://{'a' * 64}/",
        "https://./",
    ],
)
async def test_a_url_that_is_not_allowed_is_refused_for_good(url: str) -> None:
    with pytest.raises(CallbackError) as caught:
        await send(url, CallbackSettings())
    assert caught.value.permanent
