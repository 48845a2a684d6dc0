"""Messages in two queues become exactly one TrainingJob and Job each while operators and services are killed.

VOTT_CHAOS=short (the default) or long sets the scale; VOTT_CHAOS_SEED repeats the faults of an earlier run in the same order.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.chaos.environment import operator_environment, queue_credentials
from tests.chaos.fault_log import FaultLog
from tests.chaos.faults import LEASE_SECONDS, FaultInjector, plan
from tests.chaos.leader_lease import LeaderLease
from tests.chaos.operators import Operators
from tests.chaos.senders import QueueWriter, Sender, ServiceBusWriter, StorageQueueWriter
from tests.support.operator_harness import OperatorHarness
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import install_crd

ROOT = Path(__file__).parents[2]
QUEUE = "chaos"
LOCK_SECONDS = 5.0
SETTLED_WITHIN_SECONDS = 600  # the test looks for loss, not for speed; 180 was too short on a busy machine
LOG_TAIL = 12_000

Object = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """Number of messages and kills."""

    messages: int
    """Messages in each of the two queues."""
    kills: int
    """Minimum number of SIGKILLs of operators."""


SCALES = {"short": Scale(500, 30), "long": Scale(2500, 150)}


@dataclass
class Chaos:
    """The services, two operators, two senders, and the fault injector."""

    harness: OperatorHarness
    azurite: Azurite
    broker: ServiceBusBroker
    operators: Operators
    senders: dict[str, Sender]
    injector: FaultInjector
    seed: int
    scale: Scale
    storage: StorageQueueWriter
    fault_log: FaultLog

    def unfinished(self) -> dict[str, int]:
        """Counts of unsettled messages and missing Jobs; empty when all is done."""
        counts = self.broker.counts(QUEUE)
        unfinished = {
            "storage": self.storage.unsettled(),
            "waiting": counts.active,
            "locked": counts.locked,
            "Jobs": 2 * self.scale.messages - len(self.harness.kubectl.list("jobs")),
        }
        return {name: count for name, count in unfinished.items() if count}

    def diagnostics(self) -> str:
        """For a failure: the seed, the faults and the operators' logs."""
        logs = [f"--- {name}\n{self.operators.log(name).read_text()[-LOG_TAIL:]}" for name in Operators.NAMES]
        return f"VOTT_CHAOS_SEED={self.seed} repeats these faults:\n{self.fault_log}\n" + "\n".join(logs)


@pytest.fixture
def chaos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Chaos]:
    seed = int(os.environ.get("VOTT_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    scale = SCALES[os.environ.get("VOTT_CHAOS") or "short"]
    with capsys.disabled():
        print(f"\nVOTT_CHAOS_SEED={seed} {scale}")
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(controllers=True))
        install_crd(control_plane.kubeconfig)
        azurite = stack.enter_context(Azurite())
        broker = stack.enter_context(
            ServiceBusBroker({QUEUE: QueueOptions(lock_seconds=LOCK_SECONDS, duplicate_detection_seconds=3600)})
        )
        ports = {"API server": _port(control_plane.server), "Azurite": azurite.queue_port, "broker": broker.port}
        proxies = {name: stack.enter_context(TcpProxy(port)) for name, port in ports.items()}
        harness = stack.enter_context(OperatorHarness(control_plane, azurite, QUEUE, _values(azurite, broker, proxies)))
        fault_log = FaultLog(tmp_path / "faults.log")
        lease = LeaderLease(harness, tmp_path)
        operators = Operators(
            operator_environment(harness, tmp_path, queue_credentials(azurite, broker, proxies), proxies),
            tmp_path,
            fault_log,
        )
        storage = StorageQueueWriter(azurite.connection_string, QUEUE)
        writers: dict[str, QueueWriter] = {"storage": storage, "serviceBus": ServiceBusWriter(broker, QUEUE, seed)}
        senders = {kind: stack.enter_context(Sender(writer, scale.messages)) for kind, writer in writers.items()}
        injector = FaultInjector(control_plane, azurite, broker, operators, senders, proxies, lease, fault_log)
        stack.enter_context(operators)
        yield Chaos(harness, azurite, broker, operators, senders, injector, seed, scale, storage, fault_log)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _values(azurite: Azurite, broker: ServiceBusBroker, proxies: dict[str, TcpProxy]) -> Object:
    """The chart's values: both queues, and capacity for all messages, because no training ends here."""
    model = "https://store/models/{projectId}-{requestId}.tgz"
    return {
        "queues": [{"kind": kind, "name": QUEUE, "model": model} for kind in ("storage", "serviceBus")],
        "azure": queue_credentials(azurite, broker, proxies),
        "maxUnfinishedJobs": 100_000,
        "leaderElection": {"enabled": True, "leaseDurationSeconds": LEASE_SECONDS},
    }


@pytest.mark.timeout(3600)
def test_each_message_becomes_exactly_one_trainingjob_and_job_despite_crashes(
    chaos: Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        _inject_faults(chaos)
        _assert_exactly_once(chaos)
    except BaseException:
        print(chaos.diagnostics())
        raise
    with capsys.disabled():
        print(f"{chaos.operators.kills} operators killed;{str(chaos.fault_log).splitlines()[-1]}")


def _inject_faults(chaos: Chaos) -> None:
    faults = plan(chaos.seed, chaos.scale.kills)
    for number, fault in enumerate(faults, 1):
        for sender in chaos.senders.values():
            sender.allow(number / len(faults))
        chaos.injector.inject(fault)
    chaos.injector.end()
    for sender in chaos.senders.values():
        sender.finish(SETTLED_WITHIN_SECONDS)
    assert chaos.operators.kills >= chaos.scale.kills


def _assert_exactly_once(chaos: Chaos) -> None:
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while unfinished := chaos.unfinished():
        assert time.monotonic() < deadline, f"not settled after {SETTLED_WITHIN_SECONDS} s without faults: {unfinished}"
        time.sleep(1)
    sent = {message_id for sender in chaos.senders.values() for message_id in sender.sent}
    assert len(sent) == 2 * chaos.scale.messages
    trainingjobs = chaos.harness.trainingjobs()
    assert Counter(item["metadata"]["annotations"]["vott.dev/message-id"] for item in trainingjobs) == Counter(sent)
    owners = [job["metadata"]["ownerReferences"][0]["uid"] for job in chaos.harness.kubectl.list("jobs")]
    assert Counter(owners) == Counter(item["metadata"]["uid"] for item in trainingjobs)
    assert chaos.harness.poison() == []
    assert chaos.broker.dead_letters(QUEUE) == []
