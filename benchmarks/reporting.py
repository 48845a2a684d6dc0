"""Reporting: load of operator and API server while many trainings report, and how soon after its end a training's outcome arrives."""

import asyncio
import base64
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from benchmarks.bare_client import BareClient
from benchmarks.cpu import cpu_seconds
from benchmarks.reporting_trainings import CallbackReceiver, Training
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness
from tests.support.operator_process import OperatorProcess
from tests.support.waiting import install_crd

CONNECTIONS = 64
CREATIONS = 8
"""TrainingJobs that are created at a time."""
GPUS_PER_NODE = 8
SETTLE_SECONDS = 60
"""Until each training reports at its interval."""
WAIT_SECONDS = 60
"""For the last outcomes."""
POLL_SECONDS = 1.0
START_POLL_SECONDS = 10.0
TIME_LIMIT_SECONDS = 900
SIGNING_KEY = f"whsec_{base64.b64encode(bytes(32)).decode()}"
SECRET = "callback-keys"  # noqa: S105 # nosec B105 # a name
SIGNED = {"callbacks": {"signing": {"secretName": SECRET}}}
WRITES = re.compile(
    r'^apiserver_request_total\{.*[,{]resource="(\w*)".*verb="(?:POST|PUT|PATCH|APPLY|DELETE)".*\} (\S+)$', re.MULTILINE
)


@dataclass
class Measured:
    """The figures of one run."""

    cores: float = 0.0
    """CPU time of the operator per second."""
    writes: Mapping[str, float] = field(default_factory=dict)
    """Writes of the API server per second, by resource."""
    outcomes: list[float] = field(default_factory=list)
    """Seconds from the end of each pod to its callback, sorted."""
    missing: int = 0
    """Outcomes that did not arrive."""
    progress: float = 0.0
    """Progress callbacks per second."""
    shortest_pause: float = float("inf")
    """Seconds between two progress callbacks of one training."""
    lease_age: float = 0.0
    """The longest time for which the Lease was not renewed."""
    leaders: int = 0
    """How often another operator took over."""

    def outcome(self, percent: int) -> float:
        """A percentile."""
        return self.outcomes[max(0, len(self.outcomes) * percent // 100 - 1)] if self.outcomes else float("nan")


def measure(azurite: Azurite, trainings: int, seconds: int) -> str:
    """Report a table of both runs: callbacks unsigned, and signed."""
    runs = [_measure(azurite, trainings, seconds, signed=signed) for signed in (False, True)]
    return _table(trainings, seconds, runs)


def _measure(azurite: Azurite, trainings: int, seconds: int, *, signed: bool) -> Measured:
    nodes = -(-trainings // GPUS_PER_NODE)
    control_plane = ControlPlane(controllers=True, scheduler=True, simulated_nodes=nodes, gpus_per_node=GPUS_PER_NODE)
    with control_plane:
        install_crd(control_plane.kubeconfig)
        settings = {"maxUnfinishedJobs": trainings + 1} | (SIGNED if signed else {})
        with OperatorHarness(control_plane, azurite, "reporting", settings) as harness:
            if signed:
                harness.change_secret(SECRET, current=SIGNING_KEY)
            harness.queue()
            operator = harness.operator()
            measured = asyncio.run(_run(harness, operator, trainings, seconds))
            assert operator.poll() is None, harness.log.read_text()[-2000:]
    return measured


async def _run(harness: OperatorHarness, operator: OperatorProcess, trainings: int, seconds: int) -> Measured:
    async with BareClient(harness, CONNECTIONS) as client, CallbackReceiver() as receiver, asyncio.TaskGroup() as group:
        running = await _start(client, receiver, operator, trainings)
        tasks = {training.name: group.create_task(training.run()) for training in running}
        await asyncio.sleep(SETTLE_SECONDS)
        measured = Measured()
        watching = group.create_task(_watch_lease(client, measured))
        receiver.progress.clear()
        cpu, writes, start = cpu_seconds(operator.pid), await _writes(client), time.monotonic()
        ended = await _end_some(running, tasks, seconds)
        took = time.monotonic() - start
        measured.cores = (cpu_seconds(operator.pid) - cpu) / took
        after = await _writes(client)
        measured.writes = {name: (number - writes.get(name, 0)) / took for name, number in after.items()}
        measured.progress = sum(map(len, receiver.progress.values())) / took
        await _wait_for_outcomes(receiver, ended)
        for task in (watching, *tasks.values()):
            task.cancel()
    _add_callbacks(measured, receiver, ended)
    return measured


async def _start(
    client: BareClient, receiver: CallbackReceiver, operator: OperatorProcess, trainings: int
) -> list[Training]:
    """Create the TrainingJobs, and wait until each runs in a simulated pod."""
    gate = asyncio.Semaphore(CREATIONS)

    async def create(name: str) -> None:
        async with gate:
            await client.create_trainingjob(
                name,
                callback={"url": receiver.url},
                podTemplate={"metadata": {"annotations": {"localcluster.vott.dev/run-for": "24h"}}},
            )

    await asyncio.gather(*(create(f"reporting-{number}") for number in range(trainings)))
    async with asyncio.timeout(TIME_LIMIT_SECONDS):
        while True:
            assert operator.poll() is None, "the operator has ended"
            pods = await client.running_pods()
            if len(pods) == trainings:
                return [Training(name, pod, client) for name, pod in pods.items()]
            await asyncio.sleep(START_POLL_SECONDS)


async def _end_some(running: list[Training], tasks: Mapping[str, asyncio.Task[None]], seconds: int) -> list[Training]:
    """End one training a second."""
    ended = running[:seconds]
    for training in ended:
        await asyncio.sleep(1)
        tasks[training.name].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[training.name]
        await training.end()
    return ended


async def _wait_for_outcomes(receiver: CallbackReceiver, ended: list[Training]) -> None:
    for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
        if all(training.name in receiver.outcomes for training in ended):
            return
        await asyncio.sleep(POLL_SECONDS)


def _add_callbacks(measured: Measured, receiver: CallbackReceiver, ended: list[Training]) -> None:
    arrived = [training for training in ended if training.name in receiver.outcomes]
    measured.outcomes = sorted(
        receiver.outcomes[training.name] - training.ended for training in arrived if training.ended
    )
    measured.missing = len(ended) - len(arrived)
    pauses = (later - earlier for times in receiver.progress.values() for earlier, later in pairwise(times))
    measured.shortest_pause = min(pauses, default=float("inf"))


async def _watch_lease(client: BareClient, measured: Measured) -> None:
    first = (await client.lease())["leaseTransitions"]
    while True:
        lease = await client.lease()
        age = (datetime.now(UTC) - datetime.fromisoformat(lease["renewTime"])).total_seconds()
        measured.lease_age = max(measured.lease_age, age)
        measured.leaders = lease["leaseTransitions"] - first
        await asyncio.sleep(POLL_SECONDS)


async def _writes(client: BareClient) -> dict[str, float]:
    """Number of write requests so far, by resource."""
    writes: dict[str, float] = {}
    for resource, number in WRITES.findall(await client.metrics()):
        writes[resource] = writes.get(resource, 0) + float(number)
    return writes


def _table(trainings: int, seconds: int, runs: list[Measured]) -> str:
    rows = [
        ("operator, cores", "≤ 0.5", [f"{run.cores:.2f}" for run in runs]),
        ("API server, writes/s", "≤ 200", [f"{sum(run.writes.values()):.0f}" for run in runs]),
        ("  of them to TrainingJobs", "", [f"{run.writes.get('trainingjobs', 0):.0f}" for run in runs]),
        ("progress callbacks of the operator/s", "", [f"{run.progress:.0f}" for run in runs]),
        ("  shortest pause of one training, s", "≥ 2", [f"{run.shortest_pause:.1f}" for run in runs]),
        ("end to outcome, p50, s", "", [f"{run.outcome(50):.1f}" for run in runs]),
        ("end to outcome, p99, s", "≤ 5", [f"{run.outcome(99):.1f}" for run in runs]),
        ("end to outcome, longest, s", "", [f"{run.outcome(100):.1f}" for run in runs]),
        ("outcomes that did not arrive", "0", [str(run.missing) for run in runs]),
        ("Lease, longest time without renewal, s", "< 10", [f"{run.lease_age:.1f}" for run in runs]),
        ("Lease, lost", "0", [str(run.leaders) for run in runs]),
    ]
    title = f"{trainings} trainings report for {seconds} s, one ends each second"
    lines = [f"{title:60}{'goal':>8}{'unsigned':>10}{'signed':>10}"]
    lines += [f"{name:60}{goal:>8}{unsigned:>10}{signed:>10}" for name, goal, (unsigned, signed) in rows]
    return "\n".join(lines)
