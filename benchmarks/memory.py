"""Memory of an operator with many finished TrainingJobs, and with some whose parameters are as large in memory as 64 KB of JSON can be."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.bare_client import BareClient
from benchmarks.scale import CONCURRENCY, memory_mib
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness

BRACES: dict[str, Any] = {"list": [{}] * 21_000}
"""64 KB as compact JSON, 1.4 MB when parsed."""
BRACES_COUNT = 150
CHECK_SECONDS = 70
"""In which the operator lists everything once more."""
Create = Callable[[BareClient, int], Awaitable[None]]


def measure(control_plane: ControlPlane, azurite: Azurite, finished: int, unfinished: int) -> str:
    """Report resident and peak memory of an operator that starts with these TrainingJobs, and with 150 of the largest."""
    many = _memory(control_plane, azurite, "memory", {_create_finished: finished, _create_unfinished: unfinished})
    braces = _memory(control_plane, azurite, "braces", {_create_largest: BRACES_COUNT})
    return (
        f"operator with {finished} finished TrainingJobs, each with a pod, and {unfinished} unfinished ones with their Jobs: {many};"
        f" with {BRACES_COUNT} TrainingJobs with 64 KB of empty objects as parameters: {braces}"
    )


def _memory(control_plane: ControlPlane, azurite: Azurite, name: str, counts: dict[Create, int]) -> str:
    with OperatorHarness(control_plane, azurite, name) as harness:
        harness.queue()
        asyncio.run(_fill(harness, counts))
        operator = harness.operator()
        asyncio.run(
            _wait_for_jobs(harness, sum(count for create, count in counts.items() if create != _create_finished))
        )
        time.sleep(CHECK_SECONDS)
        result = f"{memory_mib(operator, 'VmRSS')} MiB resident, {memory_mib(operator, 'VmHWM')} MiB peak"
        operator.stop()
    return result


async def _fill(harness: OperatorHarness, counts: dict[Create, int]) -> None:
    gate = asyncio.Semaphore(CONCURRENCY)
    async with BareClient(harness, CONCURRENCY) as client:

        async def run(create: Create, number: int) -> None:
            async with gate:
                await create(client, number)

        await asyncio.gather(*(run(create, number) for create, count in counts.items() for number in range(count)))


async def _create_finished(client: BareClient, number: int) -> None:
    await client.create_finished(f"finished-{number}")


async def _create_unfinished(client: BareClient, number: int) -> None:
    await client.create_trainingjob(f"unfinished-{number}", suspend=True)


async def _create_largest(client: BareClient, number: int) -> None:
    await client.create_trainingjob(f"largest-{number}", suspend=True, parameters=BRACES)


async def _wait_for_jobs(harness: OperatorHarness, count: int) -> None:
    async with BareClient(harness, 1) as client:
        await client.first_to_last(count)
