"""An operator among thousands of TrainingJobs: what it holds in memory, how soon it works after a restart, and what it does when nothing happens."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from benchmarks.bare import BareClient
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness
from tests.support.operator_process import OperatorProcess
from vott_operator.cluster.resync import RESYNC_SECONDS

CONCURRENCY = 32
SETTLE_SECONDS = 60
TIME_LIMIT_SECONDS = 300


def measure(control_plane: ControlPlane, azurite: Azurite, count: int) -> str:
    """Sentence with resident memory, the time to the first Job after a restart, and the share of a core that idling takes."""
    with OperatorHarness(control_plane, azurite, "many") as harness:
        harness.queue()
        asyncio.run(_fill(harness, count))
        first = harness.operator()
        asyncio.run(_wait_for_jobs(harness, count))
        assert first.stop() == 0, harness.log.read_text()[-2000:]
        listed, restarted, operator = asyncio.run(_restart(harness))
        time.sleep(SETTLE_SECONDS)
        share = _idle_share(operator)
        resident, peak = _memory(operator, "VmRSS"), _memory(operator, "VmHWM")
    return (
        f"operator with {count} suspended TrainingJobs and their Jobs: {resident} MiB resident, {peak} MiB at most; its restart to the first new Job "
        f"{restarted:.1f} s, of a bare client to read all of them {listed:.1f} s; ratio {restarted / listed:.1f}; "
        f"idle CPU {share:.1%} of a core"
    )


async def _fill(harness: OperatorHarness, count: int) -> None:
    gate = asyncio.Semaphore(CONCURRENCY)
    async with BareClient(harness, CONCURRENCY) as client:

        async def make(name: str) -> None:
            async with gate:
                await client.make_trainingjob(name, suspend=True)  # so that nothing changes by itself

        await asyncio.gather(*(make(f"many-{number}") for number in range(count)))


async def _wait_for_jobs(harness: OperatorHarness, count: int) -> None:
    async with BareClient(harness, 1) as client:
        await client.first_to_last(count)


async def _restart(harness: OperatorHarness) -> tuple[float, float, OperatorProcess]:
    """Seconds of a bare client's list, seconds from an operator's start to a Job that waited for it, and this operator."""
    async with BareClient(harness, 2) as client, aclosing(client.new_jobs()) as jobs:
        await anext(jobs)
        await client.make_trainingjob("late")
        start = time.monotonic()
        await client.read_all()
        listed = time.monotonic() - start
        start = time.monotonic()
        operator = harness.start_operator(harness.log)
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            await _name(jobs, "late")
        return listed, time.monotonic() - start, operator


async def _name(jobs: AsyncIterator[str], name: str) -> None:
    async for job in jobs:
        if job == name:
            return


def _idle_share(operator: OperatorProcess) -> float:
    """Share of a core's time, over as long as it takes to come to one resync."""
    before = _cpu_seconds(operator)
    time.sleep(RESYNC_SECONDS)
    return (_cpu_seconds(operator) - before) / RESYNC_SECONDS


def _cpu_seconds(operator: OperatorProcess) -> float:
    """Of the process so far (proc(5): utime and stime)."""
    fields = Path(f"/proc/{operator.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(operator: OperatorProcess, figure: str) -> int:
    """MiB (proc(5): VmRSS is now, VmHWM the most there was)."""
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{figure}:")) // 1024
