"""Outcomes beside receivers that hang, wired as in app.py but with fewer workers, over real sockets."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.observed_state import NOW, condition, settings, trainingjob
from vott_messaging.callbacks import host_limits
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.outgoing import OutgoingSettings
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.app import App
from vott_operator.callbacks.outcome_callback import OutcomeCallbacks
from vott_operator.callbacks.url import CallbackURLs
from vott_operator.cluster.client import Cluster

WORKERS = 32
HANGING = 48
"""More than there are workers."""
HURRIED_SECONDS = 0.25
ENDED = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Failed")]}
PATIENCE_SECONDS = 120.0


class FakeCluster:
    """Accepts every status."""

    async def patch_status(self, tj: TrainingJob, status: Mapping[str, Any]) -> TrainingJob:
        return tj.model_copy(update={"status": tj.status.model_validate({**tj.status.to_api(), **status})})


class Receiver:
    """Accepts callbacks; `posted` is set by the first."""

    def __init__(self) -> None:
        self.posted = asyncio.Event()
        self.url = ""

    async def handle(self, _: web.Request) -> web.Response:
        self.posted.set()
        return web.Response()


@pytest.fixture(autouse=True)
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_limits, "HURRIED_SECONDS", HURRIED_SECONDS)


@pytest.fixture
async def healthy() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/"))
        yield receiver


@contextmanager
def hanging_server() -> Iterator[int]:
    """A server at every loopback address, each of them another host. It accepts connections and never answers."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as listener:
        yield int(listener.getsockname()[1])


class Harness:
    """The operator's outcome callbacks, running."""

    def __init__(self, sender: CallbackSender) -> None:
        self.app = App(settings())
        self._numbers = count()
        cluster = cast("Cluster", FakeCluster())
        urls = CallbackURLs(cluster, self.app.store, lambda: NOW)
        self.outcomes = OutcomeCallbacks(cluster, self.app.store, urls, sender, CallbackSettings(), lambda: NOW)
        self.sender = sender

    def end_training(self, url: str) -> Key:
        """A training with this callback ends."""
        name = f"t-{next(self._numbers)}"
        tj = trainingjob({"callback": {"url": url}}, ENDED, {"name": name, "uid": name})
        self.app.store.put_trainingjob(tj)
        self.app._outcome_queue.add(tj.key)
        return tj.key

    async def wait_delivered(self, key: Key) -> None:
        """Wait until the outcome of a training was accepted."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._is_delivered(key):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)

    def _is_delivered(self, key: Key) -> bool:
        trainingjob = self.app.store.trainingjob(key)
        delivered = trainingjob.condition("CallbackDelivered") if trainingjob else None
        return delivered is not None and delivered.status == "True"


@asynccontextmanager
async def running() -> AsyncIterator[Harness]:
    rules = OutgoingSettings(allow_http=True, networks=["127.0.0.0/8"]).rules
    async with CallbackSender(CallbackSettings(timeout_seconds=3600), rules, workers=WORKERS) as sender:
        harness = Harness(sender)
        task = asyncio.create_task(harness.app._outcome_queue.run(harness.outcomes.send))
        yield harness
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_healthy_receiver_gets_its_outcome_while_many_hosts_hang(healthy: Receiver) -> None:
    with hanging_server() as port:
        async with running() as harness:
            for number in range(HANGING):
                harness.end_training(f"http://127.0.1.{1 + number}:{port}/")
            harness.end_training(healthy.url)
            await asyncio.wait_for(healthy.posted.wait(), PATIENCE_SECONDS)
            assert harness.sender.results["delivered"] <= 1


async def test_a_healthy_receiver_gets_its_outcome_while_many_callbacks_of_one_host_hang(healthy: Receiver) -> None:
    with hanging_server() as port:
        async with running() as harness:
            for number in range(HANGING):
                harness.end_training(f"http://127.0.0.1:{port}/{number}")
            key = harness.end_training(healthy.url)
            await asyncio.wait_for(healthy.posted.wait(), PATIENCE_SECONDS)
            await harness.wait_delivered(key)
            assert harness.sender.limits.in_flight == 1


async def test_a_receiver_that_answered_before_gets_its_outcome_while_lookups_of_names_hang(
    healthy: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, released = socket.getaddrinfo, threading.Event()

    def lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith(".example"):
            released.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with running() as harness:
        try:
            await harness.wait_delivered(harness.end_training(healthy.url))  # its worker is free again
            healthy.posted.clear()
            for number in range(HANGING):
                harness.end_training(f"http://name-{number}.example/")
            harness.end_training(healthy.url)
            await asyncio.wait_for(healthy.posted.wait(), PATIENCE_SECONDS)
        finally:
            released.set()
