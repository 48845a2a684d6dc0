"""Health and metrics over HTTP."""

import asyncio

import aiohttp
import pytest

from localcluster.ports import free_ports
from vott_messaging.errors import SettingsError
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import MemoryQueue
from vott_messaging.settings.address import parse_address
from vott_traind.http import DaemonServer
from vott_traind.metered_source import MeteredSource
from vott_traind.metrics import Metrics


async def get(port: int, page: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/{page}") as response,
    ):
        return response.status, await response.text()


async def test_health_says_what_is_wrong() -> None:
    problems: list[str] = []
    (port,) = free_ports(1)
    async with DaemonServer(f"127.0.0.1:{port}", Metrics(), lambda: next(iter(problems), None)):
        assert await get(port, "healthz") == (200, "ok\n")
        problems.append("the queue is unreachable")
        assert await get(port, "healthz") == (503, "the queue is unreachable\n")


async def test_metrics_count_what_becomes_of_messages() -> None:
    metrics = Metrics()
    queue = MemoryQueue(asyncio.get_running_loop().time)
    source = MeteredSource(queue, metrics)
    for number in range(3):
        queue.send(f"body {number}")
    for settle in (source.complete, source.abandon, lambda delivery: source.dead_letter(delivery, "NotJSON", "Bad.")):
        (delivery,) = await source.receive(1, 1)
        await settle(delivery)
    (port,) = free_ports(1)
    async with DaemonServer(f"127.0.0.1:{port}", metrics, lambda: None):
        _, text = await get(port, "metrics")
    assert 'vott_train_messages_received_total{queue="memory://queue"} 3.0' in text
    for result in ("completed", "abandoned", "dead_lettered"):
        assert f'vott_train_messages_settled_total{{queue="memory://queue",result="{result}"}} 1.0' in text


async def test_a_queue_that_cannot_be_received_from_is_counted() -> None:
    class Broken(MemoryQueue):
        async def receive(self, limit: int, wait_seconds: float) -> list[Delivery]:
            raise OSError(f"no network for {limit} messages in {wait_seconds} s")

    source = MeteredSource(Broken(asyncio.get_running_loop().time), Metrics())
    for failures in (1, 2):
        with pytest.raises(OSError, match="no network"):
            await source.receive(1, 0)
        assert source.failures == failures


async def test_an_address_in_use_is_an_error() -> None:
    (port,) = free_ports(1)
    async with DaemonServer(f"127.0.0.1:{port}", Metrics(), lambda: None):
        with pytest.raises(SettingsError, match=f"--http: can't listen on 127.0.0.1:{port}"):
            async with DaemonServer(f"127.0.0.1:{port}", Metrics(), lambda: None):
                pass


@pytest.mark.parametrize(
    ("text", "address"), [(":8080", ("0.0.0.0", 8080)), ("[::1]:80", ("::1", 80)), ("host:1", ("host", 1))]
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address("--http", text) == address


@pytest.mark.parametrize("text", ["", "8080", "host:", "host:x", "host:0", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="use ADDRESS:PORT"):
        parse_address("--http", text)
