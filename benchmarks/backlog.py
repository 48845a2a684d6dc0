"""A backlog of messages becomes Jobs: the operator against a bare client that makes the same objects."""

import asyncio
import re
import time

from azure.storage.queue.aio import QueueClient

from benchmarks.bare import MESSAGE, BareClient
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
    """Sentence with both rates and their ratio, and the writes that each message cost."""
    settings = {"maxUnfinishedJobs": messages + 1}
    with OperatorHarness(control_plane, azurite, "bare", settings) as harness:
        bare = messages / asyncio.run(_bare(harness, messages))
    with OperatorHarness(control_plane, azurite, "operated", settings) as harness:
        before = _writes(harness)
        ours = messages / _operated(harness, messages)
        writes = (_writes(harness) - before) / messages
    return (
        f"backlog of {messages} messages: {ours:.0f} Jobs/s; a bare client that writes one TrainingJob, one Job and one "
        f"status patch each: {bare:.0f}/s; ratio {ours / bare:.2f}; {writes:.1f} writes a message until it has its Job"
    )


async def _bare(harness: OperatorHarness, count: int) -> float:
    """Seconds that plain requests take for the same objects."""
    gate = asyncio.Semaphore(CONCURRENCY)
    async with BareClient(harness, CONCURRENCY) as client:

        async def make(name: str) -> None:
            async with gate:
                await client.make(name)
                await client.note_status(name)

        start = time.monotonic()
        await asyncio.gather(*(make(f"bare-{number}") for number in range(count)))
        return time.monotonic() - start


def _operated(harness: OperatorHarness, count: int) -> float:
    """Seconds from the first Job of the backlog to the last. The operator's start is not counted."""
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
    """How many the API server has answered, of the kinds that the operator writes."""
    return sum(int(count) for count in WRITES.findall(harness.kubectl("get", "--raw", "/metrics")))
