"""Scale: memory, restart time and idle CPU of an operator with thousands of TrainingJobs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from benchmarks.bare_client import BareClient
from benchmarks.cpu import cpu_seconds
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness
from tests.support.operator_process import OperatorProcess
from vott_operator.cluster.resync import RESYNC_SECONDS

CONCURRENCY = 32
SETTLE_SECONDS = 60
TIME_LIMIT_SECONDS = 300


def measure(control_plane: ControlPlane, azurite: Azurite, count: int) -> str:
    """Report resident memory, the time to the first Job after a restart, and the idle CPU usage."""
    with OperatorHarness(control_plane, azurite, "many") as harness:
        harness.queue()
        asyncio.run(_fill(harness, count))
        first = harness.operator()
        asyncio.run(_wait_for_jobs(harness, count))
        assert first.stop() == 0, harness.log.read_text()[-2000:]
        listed, restarted, operator = asyncio.run(_restart(harness))
        time.sleep(SETTLE_SECONDS)
        share = _idle_share(operator)
        resident, peak = memory_mib(operator, "VmRSS"), memory_mib(operator, "VmHWM")
    return (
        f"operator with {count} suspended TrainingJobs and their Jobs: {resident} MiB resident, {peak} MiB peak; from restart to the first new Job "
        f"{restarted:.1f} s; a bare client reads all objects in {listed:.1f} s; ratio {restarted / listed:.1f}; "
        f"idle CPU {share:.1%} of a core"
    )


async def _fill(harness: OperatorHarness, count: int) -> None:
    gate = asyncio.Semaphore(CONCURRENCY)
    async with BareClient(harness, CONCURRENCY) as client:

        async def create(name: str) -> None:
            async with gate:
                await client.create_trainingjob(name, suspend=True)  # suspended, so that nothing changes

        await asyncio.gather(*(create(f"many-{number}") for number in range(count)))


async def _wait_for_jobs(harness: OperatorHarness, count: int) -> None:
    async with BareClient(harness, 1) as client:
        await client.first_to_last(count)


async def _restart(harness: OperatorHarness) -> tuple[float, float, OperatorProcess]:
    """Seconds of a bare client to list, seconds from the operator's start to a pending Job, and this operator."""
    async with BareClient(harness, 2) as client, aclosing(client.new_jobs()) as jobs:
        await anext(jobs)
        await client.create_trainingjob("late")
        start = time.monotonic()
        await client.read_all()
        listed = time.monotonic() - start
        start = time.monotonic()
        operator = harness.start_operator(harness.log)
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            await _wait_for_name(jobs, "late")
        return listed, time.monotonic() - start, operator


async def _wait_for_name(jobs: AsyncIterator[str], name: str) -> None:
    async for job in jobs:
        if job == name:
            return


def _idle_share(operator: OperatorProcess) -> float:
    """Share of one core, over one resync interval."""
    before = cpu_seconds(operator.pid)
    time.sleep(RESYNC_SECONDS)
    return (cpu_seconds(operator.pid) - before) / RESYNC_SECONDS


def memory_mib(operator: OperatorProcess, field: str) -> int:
    """A memory field in MiB (proc(5): VmRSS is current, VmHWM the peak)."""
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) // 1024
