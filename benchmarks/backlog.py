"""Throughput: Jobs per second from a backlog of messages, relative to a bare client that creates the same objects."""

import asyncio
import re
import time

from azure.storage.queue.aio import QueueClient

from benchmarks.bare_client import MESSAGE, BareClient
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness

CONCURRENCY = 32
WRITES = re.compile(
    r'^apiserver_request_total\{.*resource="(?:trainingjobs|jobs|secrets|events|services)".*'
    r'verb="(?:POST|PUT|PATCH|APPLY|DELETE)".*\} (\d+)$',
    re.MULTILINE,
)


def measure(control_plane: ControlPlane, azurite: Azurite, messages: int) -> str:
    """Report both rates, their ratio, and the API writes per message."""
    settings = {"maxUnfinishedJobs": messages + 1}
    with OperatorHarness(control_plane, azurite, "bare", settings) as harness:
        bare = messages / asyncio.run(_bare(harness, messages))
    with OperatorHarness(control_plane, azurite, "operated", settings) as harness:
        before = _writes(harness)
        operator = messages / _operated(harness, messages)
        writes = (_writes(harness) - before) / messages
    return (
        f"backlog of {messages} messages: {operator:.0f} Jobs/s; a bare client that writes one TrainingJob, one Job and one "
        f"status patch each: {bare:.0f}/s; ratio {operator / bare:.2f}; {writes:.1f} writes per message up to its Job"
    )


async def _bare(harness: OperatorHarness, count: int) -> float:
    """Seconds of plain requests for the same objects."""
    gate = asyncio.Semaphore(CONCURRENCY)
    async with BareClient(harness, CONCURRENCY) as client:

        async def create(name: str) -> None:
            async with gate:
                await client.create(name)
                await client.patch_status(name)

        start = time.monotonic()
        await asyncio.gather(*(create(f"bare-{number}") for number in range(count)))
        return time.monotonic() - start


def _operated(harness: OperatorHarness, count: int) -> float:
    """Seconds from the first Job to the last, without the operator's start."""
    asyncio.run(_fill(harness, count))
    harness.operator()
    return asyncio.run(_watch(harness, count))


async def _watch(harness: OperatorHarness, count: int) -> float:
    async with BareClient(harness, 1) as client:
        return await client.first_to_last(count)


async def _fill(harness: OperatorHarness, count: int) -> None:
    harness.queue()
    gate = asyncio.Semaphore(CONCURRENCY)
    async with QueueClient.from_connection_string(harness.azurite.connection_string, harness.name) as queue:

        async def send() -> None:
            async with gate:
                await queue.send_message(MESSAGE)

        await asyncio.gather(*(send() for _ in range(count)))


def _writes(harness: OperatorHarness) -> int:
    """Number of write requests to the API server, of the kinds that the operator writes."""
    return sum(int(count) for count in WRITES.findall(harness.kubectl("get", "--raw", "/metrics")))
