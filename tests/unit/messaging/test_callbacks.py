"""Callbacks, sent to a real HTTP server."""

import asyncio
import base64
import ipaddress
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from localcluster.ports import free_ports
from vott_guard.rules import Rules
from vott_messaging.callbacks.payload import ProgressReport, payload
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.callbacks.signing_key_files import read_signing_keys
from vott_messaging.errors import CallbackError, PostponedError, SettingsError, UnansweredError
from vott_messaging.settings.callbacks import CallbackSettings

SETTINGS = CallbackSettings(timeout_seconds=30)
LOCAL = Rules(allow_http=True, networks=(ipaddress.ip_network("127.0.0.0/8"),))
KEY = f"whsec_{base64.b64encode(b'k' * 32).decode()}"


class Receiver:
    """A server that returns `answer` and records the posts."""

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
    app.router.add_post("/status{token:.*}", receiver.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/status"))


async def send(url: str, rules: Rules = LOCAL, settings: CallbackSettings = SETTINGS) -> None:
    async with CallbackSender(settings, rules) as sender:
        await sender.send(url, "id-1", payload("cats", "succeeded", "Done.", None))


async def test_a_post_has_the_fields_of_the_first_vott_train_and_standard_webhooks_headers(
    receiver: Receiver, url: str
) -> None:
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


def test_a_failed_training_reports_its_last_progress() -> None:
    report = ProgressReport(
        percent=42, epoch_current=3, epoch_total=10, step_current=1, step_total=2, classification_loss=0.5
    )
    body = payload("cats", "failed", "Why.", report)
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
        (307, {"Location": "/status"}, True, None),
    ],
)
async def test_the_status_decides_whether_to_retry(
    receiver: Receiver, url: str, status: int, headers: dict[str, str], permanent: bool, retry_after: float | None
) -> None:
    receiver.answer = web.Response(status=status, headers=headers)
    with pytest.raises(CallbackError) as caught:
        await send(f"{url}/SECRET?sig=SECRET")
    assert (caught.value.permanent, caught.value.retry_after) == (permanent, retry_after)
    assert str(caught.value).startswith(f"{url.removesuffix('/status')} answered {status}")
    assert len(receiver.posts) == 1


async def test_no_answer_is_retried_and_the_error_shows_only_the_host() -> None:
    (port,) = free_ports(1)
    for url in (f"http://127.0.0.1:{port}/SECRET?sig=SECRET", "http://no.such.host.invalid/SECRET?sig=SECRET"):
        with pytest.raises(CallbackError) as caught:
            await send(url)
        assert not caught.value.permanent
        assert "SECRET" not in str(caught.value)


async def test_an_unexpected_error_does_not_show_the_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("https://host/?sig=SECRET")

    monkeypatch.setattr("vott_guard.client.GuardedSession.post", stumble)
    with pytest.raises(CallbackError, match=r"did not answer \(ZeroDivisionError\)") as caught:
        await send(f"{url}/SECRET?sig=SECRET")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_receivers_reason_phrase_is_not_repeated(receiver: Receiver, url: str) -> None:
    receiver.answer = web.Response(status=500, reason="x" * 5000)
    with pytest.raises(CallbackError, match=r"answered 500 Internal Server Error$"):
        await send(url)


# ------------------------------------------------------------------------------------------------------ what is refused


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
        "https://10.0.0.1/s",
        "https://host:22/s",
    ],
)
async def test_a_url_that_is_not_allowed_is_refused_permanently(url: str) -> None:
    with pytest.raises(CallbackError) as caught:
        await send(url, Rules())
    assert caught.value.permanent


@pytest.mark.parametrize("rules", [Rules(allow_http=True), LOCAL], ids=["the default addresses", "local ones"])
async def test_no_rule_allows_the_metadata_service(rules: Rules) -> None:
    with pytest.raises(CallbackError, match=r"169\.254\.169\.254 is refused: that address is link-local") as caught:
        await send("http://169.254.169.254/latest?sig=SECRET", rules)
    assert caught.value.permanent
    assert "SECRET" not in str(caught.value)


async def test_a_name_with_an_internal_address_is_refused_permanently_without_a_request(
    receiver: Receiver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(url.split(":")[2].split("/")[0])
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        return real("127.0.0.1" if host == "inside.example" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(CallbackError, match=r"inside\.example \(127\.0\.0\.1\) is refused: .*loopback") as caught:
        await send(f"http://inside.example:{port}/status", Rules(allow_http=True))
    assert caught.value.permanent
    assert receiver.posts == []


async def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    await send(url)
    assert len(receiver.posts) == 1


async def test_an_endless_response_is_not_read() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    app = web.Application()
    app.router.add_post("/", endless)
    async with TestServer(app) as server:
        await send(str(server.make_url("/")))


async def test_a_silent_receiver_does_not_block_another(receiver: Receiver, url: str) -> None:
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        arrived.set()
        await goes_on.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", slow)
    settings = CallbackSettings(timeout_seconds=60)
    async with TestServer(app) as server, CallbackSender(settings, LOCAL, workers=2) as sender:
        held = asyncio.create_task(sender.send(str(server.make_url("/")), "id-1", {}))
        await arrived.wait()
        await asyncio.wait_for(sender.send(url, "id-2", {}), 30)
        assert not held.done()
        goes_on.set()
        await held
    assert [headers["webhook-id"] for headers, _ in receiver.posts] == ["id-2"]


async def test_a_receiver_that_does_not_answer_opens_its_hosts_circuit_and_an_error_does_not(
    receiver: Receiver, url: str
) -> None:
    (port,) = free_ports(1)
    receiver.answer = web.Response(status=503)
    async with CallbackSender(SETTINGS, LOCAL, workers=8) as sender:
        for each in (url, f"http://127.0.0.1:{port}/"):
            with pytest.raises(CallbackError):
                await sender.send(each, "id-1", {})
        with pytest.raises(PostponedError, match="was not tried yet") as caught:
            await sender.send(f"http://127.0.0.1:{port}/other?sig=SECRET", "id-2", {}, wait_seconds=0.01)
        assert not caught.value.permanent
        assert "SECRET" not in str(caught.value)
        receiver.answer = web.Response(status=503)
        with pytest.raises(CallbackError, match="answered 503"):
            await sender.send(url, "id-3", {}, wait_seconds=30)
        assert (sender.limits.open_circuits, sender.limits.in_flight) == (1, 0)
    assert sender.results == {"failed": 2, "unanswered": 1}


async def test_a_lookup_that_hangs_ends_the_attempt_but_keeps_its_worker(
    receiver: Receiver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, released = socket.getaddrinfo, threading.Event()

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "hangs.example":
            released.wait()
        return real("127.0.0.1" if host == "hangs.example" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("vott_messaging.callbacks.sender.GRACE_SECONDS", 0.0)
    settings = CallbackSettings(timeout_seconds=0.1)
    async with CallbackSender(settings, LOCAL, workers=2) as sender:
        port = url.split(":")[2].split("/")[0]
        try:
            with pytest.raises(UnansweredError, match="the lookup of its name takes too long"):
                await sender.send(f"http://hangs.example:{port}/status", "id-1", {})
            assert (sender.limits.in_flight, sender.limits.open_circuits) == (1, 1)
        finally:
            released.set()
        while sender.limits.in_flight:  # noqa: ASYNC110 - a thread sets no Event of asyncio
            await asyncio.sleep(0.01)
    assert receiver.posts == []  # not posted after its end was reported


STOPS = """
import asyncio, ipaddress, sys
from vott_guard.rules import Rules
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.settings.callbacks import CallbackSettings

async def main():
    rules = Rules(True, networks=(ipaddress.ip_network("127.0.0.0/8"),))
    async with CallbackSender(CallbackSettings(timeout_seconds=3600), rules) as sender:
        sending = asyncio.create_task(sender.send(sys.argv[1], "id-1", {}))
        await asyncio.to_thread(sys.stdin.readline)
        sending.cancel()

asyncio.run(main())
"""


def test_a_process_that_stops_does_not_wait_for_a_silent_receiver() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        command = [sys.executable, "-c", STOPS, url]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
        ) as process:
            try:
                connection, _ = silent.accept()
                with connection:
                    connection.recv(1)
                    process.communicate(b"stop\n", timeout=60)
            finally:
                process.kill()
    assert process.returncode == 0


# ------------------------------------------------------------------------------------------------------------ signatures


def keys(folder: Path, **files: str) -> CallbackSettings:
    for name, text in files.items():
        (folder / name).write_text(text)
    return CallbackSettings(signing_dir=folder)


async def test_a_post_is_signed_with_the_current_keys(tmp_path: Path) -> None:
    received: list[tuple[str, dict[str, str]]] = []

    async def receive(request: web.Request) -> web.Response:
        received.append((await request.text(), dict(request.headers)))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    settings = keys(tmp_path, current=KEY)
    newer = f"whsec_{base64.b64encode(b'n' * 32).decode()}"
    async with TestServer(app) as server, CallbackSender(settings, LOCAL) as sender:
        await sender.send(str(server.make_url("/")), "id-1", {"job": "k\u00e4tzchen"})
        keys(tmp_path, current=newer, previous=KEY)
        await sender.send(str(server.make_url("/")), "id-2", {"job": "cats"})
    assert Webhook(KEY).verify(*received[0]) == {"job": "k\u00e4tzchen"}
    assert Webhook(newer).verify(*received[1]) == Webhook(KEY).verify(*received[1]) == {"job": "cats"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no key in"),
        ({"current": " "}, "there is no key in"),
        ({"current": "SECRET"}, "key 1 is not a signing key: use whsec_"),
        ({"current": KEY, "previous": "whsec_SECRET"}, "key 2 is not a signing key"),
    ],
)
async def test_without_a_usable_key_nothing_is_sent(
    receiver: Receiver, url: str, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    settings = keys(tmp_path, **files)
    with pytest.raises(SettingsError, match=message) as refused:
        read_signing_keys(tmp_path)
    with pytest.raises(CallbackError, match=message) as caught:
        await send(url, settings=settings)
    assert not caught.value.permanent  # the Secret may be fixed
    assert "SECRET" not in str(refused.value) + str(caught.value)
    assert receiver.posts == []


def test_keys_that_are_not_text_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(b"\xffSECRET")
    with pytest.raises(SettingsError, match="current is not text") as caught:
        read_signing_keys(tmp_path)
    assert "SECRET" not in str(caught.value)
