"""`python -m benchmarks.soak`: see `make soak`."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from benchmarks.bare_client import credentials
from benchmarks.soak.faults import Faults
from benchmarks.soak.memory import ALLOWED_GROWTH, MemorySamples
from benchmarks.soak.receiver import HANGING, Receiver
from benchmarks.soak.sender import NumberedWriter, send_steadily
from benchmarks.soak.trainers import SimulatedTrainers
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from localcluster.ports import free_ports
from tests.chaos.environment import operator_environment, queue_credentials
from tests.chaos.fault_log import FaultLog
from tests.chaos.operators import Operators
from tests.chaos.senders import QueueWriter, Sender, ServiceBusWriter, StorageQueueWriter
from tests.support.operator_harness import LOCAL, Object, OperatorHarness
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import install_crd

QUEUE = "soak"
TRAINING_SECONDS = 2.0
TTL_SECONDS = 30
GIVE_UP_SECONDS = 60
HANGING_EVERY = 100
"""One of this many messages has a callback that never answers."""
SAMPLE_SECONDS = 10.0
SETTLE_SECONDS = 600.0


@dataclass
class Soak:
    """The parts of one run."""

    harness: OperatorHarness
    operators: Operators
    fault_log: FaultLog
    senders: dict[str, Sender]
    writers: dict[str, NumberedWriter]
    trainers: SimulatedTrainers
    receiver: Receiver
    memory: dict[str, MemorySamples] = field(
        default_factory=lambda: {name: MemorySamples() for name in Operators.NAMES}
    )

    @property
    def urls(self) -> dict[str, str]:
        """Callback URLs by message id."""
        return {message_id: url for writer in self.writers.values() for message_id, url in list(writer.urls.items())}

    async def report(self) -> None:
        """Sample memory, and print a line each minute, until cancelled."""
        start = time.monotonic()
        while True:
            for _ in range(6):
                await asyncio.sleep(SAMPLE_SECONDS)
                for name, samples in self.memory.items():
                    samples.add(self.operators.pid(name))
            rss = ", ".join(f"{name} {samples.samples[-1]:.0f} MiB" for name, samples in self.memory.items())
            click.echo(
                f"{(time.monotonic() - start) / 60:5.1f} min: {len(self.urls):,} sent, {len(self.trainers.created):,} "
                f"TrainingJobs, {sum(self.receiver.outcomes.values()):,} outcomes; {rss}"
            )

    async def settle(self) -> None:
        """Wait until all outcomes have arrived."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while self.missing_outcomes():  # noqa: ASYNC110 # counts of several parts, none of which has an event
                    await asyncio.sleep(1)

    def missing_outcomes(self) -> list[str]:
        """Ids of messages whose receiver answers, but has got no outcome."""
        delivered = {path for path, state in self.receiver.outcomes if state == "succeeded"}
        return [
            message_id
            for message_id, url in self.urls.items()
            if f"/{HANGING}/" not in url and f"/{url.split('/', 3)[3]}" not in delivered
        ]

    def problems(self) -> list[str]:
        """What is wrong after the end; empty if nothing is."""
        created, sent = self.trainers.created, Counter(self.urls.keys())
        states = Counter(state for _, state in self.receiver.outcomes.elements())
        found = {
            "messages without a TrainingJob": len(sent - created),
            "TrainingJobs too many": len(created - sent),
            "outcomes that did not arrive": len(self.missing_outcomes()),
            "outcomes that are not succeeded": states.total() - states["succeeded"],
            "unexpected exits of operators": str(self.fault_log).count("exited unexpectedly"),
            "dead letters": len(self.harness.poison()),
        }
        problems = [f"{number:,} {what}" for what, number in found.items() if number]
        for name, samples in self.memory.items():
            click.echo(
                f"{name}: {samples.samples[-1]:.0f} MiB at the end, {samples.growth:+.1%} since the second quarter"
            )
            if samples.growth > ALLOWED_GROWTH:
                problems.append(f"{name} grows")
        return problems


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--minutes", default=60.0, show_default=True, help="How long to send.")
@click.option("--rate", default=20.0, show_default=True, help="Messages per second, in both queues together.")
@click.option("--fault-pause", default=30.0, show_default=True, help="Seconds between faults.")
@click.option("--seed", default=1, show_default=True, help="Of the order of the faults.")
def main(minutes: float, rate: float, fault_pause: float, seed: int) -> None:
    """Run two operators under steady load while services fail, and check that memory stays flat and nothing is lost."""
    problems = asyncio.run(_soak(60 * minutes, rate, fault_pause, seed))
    if problems:
        raise click.ClickException("; ".join(problems))
    click.echo("nothing lost, nothing doubled, memory flat")


async def _soak(seconds: float, rate: float, fault_pause: float, seed: int) -> list[str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vott-soak-")))
        control_plane = stack.enter_context(ControlPlane(controllers=True))
        install_crd(control_plane.kubeconfig)
        azurite = stack.enter_context(Azurite())
        broker = stack.enter_context(ServiceBusBroker({QUEUE: QueueOptions(lock_seconds=30.0)}))
        ports = {
            "API server": int(control_plane.server.rpartition(":")[2]),
            "Azurite": azurite.queue_port,
            "broker": broker.port,
        }
        proxies = {name: stack.enter_context(TcpProxy(port)) for name, port in ports.items()}
        credentials_ = queue_credentials(azurite, broker, proxies)
        harness = stack.enter_context(OperatorHarness(control_plane, azurite, QUEUE, _values(credentials_)))
        fault_log = FaultLog(folder / "faults.log")
        operators = Operators(operator_environment(harness, folder, credentials_, proxies), folder, fault_log)
        async with AsyncExitStack() as tasks:
            receiver = await tasks.enter_async_context(Receiver(free_ports(1)[0]))
            trainers = SimulatedTrainers(control_plane.server, credentials(harness), QUEUE, TRAINING_SECONDS)
            await tasks.enter_async_context(trainers)
            writers = _writers(azurite, broker, receiver, seed)
            per_queue = round(seconds * rate / len(writers))
            senders = {kind: stack.enter_context(Sender(writer, per_queue)) for kind, writer in writers.items()}
            soak = Soak(harness, operators, fault_log, senders, writers, trainers, receiver)
            faults = Faults(control_plane, azurite, broker, senders, proxies, receiver, seed)
            stack.enter_context(operators)
            return await _run(soak, faults, seconds, fault_pause)


async def _run(soak: Soak, faults: Faults, seconds: float, fault_pause: float) -> list[str]:
    reporting = asyncio.create_task(soak.report())
    failing = asyncio.create_task(faults.run(fault_pause))
    try:
        sending = asyncio.create_task(send_steadily(soak.senders, seconds))
        await asyncio.wait({sending, failing}, return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
        await asyncio.gather(failing, return_exceptions=True)
        await sending
        await soak.settle()
    finally:
        reporting.cancel()
    click.echo(f"{len(soak.urls):,} messages, {faults.count} faults")
    return soak.problems()


def _values(credentials_: Mapping[str, str]) -> Object:
    return {
        "queues": [{"kind": kind, "name": QUEUE} for kind in ("storage", "serviceBus")],
        "azure": dict(credentials_),
        "outgoing": LOCAL,
        "ttlSecondsAfterFinished": TTL_SECONDS,
        "callbacks": {"timeoutSeconds": 5, "giveUpAfterSeconds": GIVE_UP_SECONDS},
    }


def _writers(azurite: Azurite, broker: ServiceBusBroker, receiver: Receiver, seed: int) -> dict[str, NumberedWriter]:
    writers: dict[str, QueueWriter] = {
        "storage": StorageQueueWriter(azurite.connection_string, QUEUE),
        "serviceBus": ServiceBusWriter(broker, QUEUE, seed),
    }

    def url(parity: int, number: int) -> str:
        return receiver.url(2 * number + parity, hangs=number % HANGING_EVERY == HANGING_EVERY - 1)

    return {kind: NumberedWriter(writer, partial(url, parity)) for parity, (kind, writer) in enumerate(writers.items())}


main()
