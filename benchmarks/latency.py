"""Latency: time from a message to its Job on an idle operator, and the queue requests while idle."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.storage.queue.aio import QueueClient

from benchmarks.bare_client import MESSAGE, BareClient
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness
from tests.support.queue_proxy import QueueProxy
from tests.support.service_bus_broker import ServiceBusBroker

MESSAGES = 100
CAPACITY = {"maxUnfinishedJobs": MESSAGES + 1}
SETTLE_SECONDS = 5
IDLE_SECONDS = 30
TIME_LIMIT_SECONDS = 30
SERVICE_BUS_PAUSES = (0.2, 0.4)
STORAGE_PAUSES = (1.0, 3.0)
"""Random seconds between messages: long enough to reach the longest polling interval, at different phases of it."""

Send = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Latencies:
    """Seconds from sending a message to the watch event of its Job."""

    seconds: list[float]

    def milliseconds(self, percent: int) -> float:
        """A percentile in milliseconds."""
        return 1000 * sorted(self.seconds)[max(0, len(self.seconds) * percent // 100 - 1)]

    def __str__(self) -> str:
        return f"p50 {self.milliseconds(50):.0f} ms, p99 {self.milliseconds(99):.0f} ms"


class _CountingProxy(QueueProxy):
    """Counts the requests to the queue service."""

    requests = 0

    def admits(self, method: str, path: str) -> bool:
        """Count the request."""
        self.requests += 1
        return super().admits(method, path)


def measure(control_plane: ControlPlane, azurite: Azurite) -> str:
    """Report the latencies of both kinds of queue and of a bare client."""
    with OperatorHarness(control_plane, azurite, "direct") as harness:
        bare = asyncio.run(_bare(harness))
    return f"{_service_bus(control_plane, azurite, bare)}\n{_storage(control_plane, azurite, bare)}"


def _service_bus(control_plane: ControlPlane, azurite: Azurite, bare: Latencies) -> str:
    name = "latency-bus"
    with ServiceBusBroker() as broker:
        broker.add_queue(name)
        settings = {
            "azure": {"serviceBusConnectionString": broker.connection_string},
            "queues": [{"kind": "serviceBus", "name": name}],
        }
        with OperatorHarness(control_plane, azurite, name, settings | CAPACITY) as harness:
            harness.operator()
            client = ServiceBusClient.from_connection_string(broker.connection_string)
            latencies = asyncio.run(_measure_service_bus(harness, client, name))
    return _sentence("Service Bus", latencies, bare)


def _storage(control_plane: ControlPlane, azurite: Azurite, bare: Latencies) -> str:
    service = f"http://{azurite.host}:{azurite.queue_port}"
    with (
        _CountingProxy("127.0.0.1", service) as proxy,
        OperatorHarness(control_plane, azurite, "latency-storage", CAPACITY) as harness,
    ):
        harness.queue()
        proxied = azurite.connection_string.replace(service, proxy.url)
        harness.operator(AZURE_STORAGE_CONNECTION_STRING=proxied)
        latencies = asyncio.run(_measure_storage(harness))
        time.sleep(SETTLE_SECONDS)  # until it polls at the longest interval
        before = proxy.requests
        time.sleep(IDLE_SECONDS)
        idle = (proxy.requests - before) / IDLE_SECONDS
    return f"{_sentence('Storage Queue', latencies, bare)}; idle: {idle:.2f} requests/s"


def _sentence(kind: str, operator: Latencies, bare: Latencies) -> str:
    ratio = operator.milliseconds(50) / bare.milliseconds(50)
    return (
        f"message of an idle {kind} to its Job ({MESSAGES} messages): {operator}; a bare client's TrainingJob and Job: {bare}; "
        f"ratio of the medians {ratio:.1f}"
    )


async def _bare(harness: OperatorHarness) -> Latencies:
    async with BareClient(harness, connections=2) as client:
        names = iter(f"direct-{number}" for number in range(MESSAGES))
        return await _measure(client, lambda: client.create(next(names)), SERVICE_BUS_PAUSES)


async def _measure_service_bus(
    harness: OperatorHarness, bus: AbstractAsyncContextManager[ServiceBusClient], name: str
) -> Latencies:
    async with bus as client, client.get_queue_sender(name) as sender, BareClient(harness, connections=1) as watching:
        return await _measure(watching, lambda: sender.send_messages(ServiceBusMessage(MESSAGE)), SERVICE_BUS_PAUSES)


async def _measure_storage(harness: OperatorHarness) -> Latencies:
    queue = QueueClient.from_connection_string(harness.azurite.connection_string, harness.name)
    async with queue, BareClient(harness, connections=1) as watching:
        return await _measure(watching, lambda: queue.send_message(MESSAGE), STORAGE_PAUSES)


async def _measure(client: BareClient, send: Send, pauses: tuple[float, float]) -> Latencies:
    """Send one message at a time; the clock starts before sending."""
    seconds = list[float]()
    async with aclosing(client.new_jobs()) as jobs:
        await anext(jobs)
        for _ in range(MESSAGES):
            await asyncio.sleep(random.uniform(*pauses))  # nosec B311 # not for security
            start = time.monotonic()
            await send()
            async with asyncio.timeout(TIME_LIMIT_SECONDS):
                await anext(jobs)
            seconds.append(time.monotonic() - start)
    return Latencies(seconds)
