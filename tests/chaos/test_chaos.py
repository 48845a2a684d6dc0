"""Two queues, nothing lost, nothing twice, whatever dies in between.

VOTT_CHAOS=short (the default) or long says how much; VOTT_CHAOS_SEED repeats the faults of an earlier run in their order.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.azurite import Azurite, connection_string
from localcluster.control_plane import ControlPlane
from localcluster.kubectl import kubectl
from tests.chaos.diary import Diary
from tests.chaos.election import Election
from tests.chaos.faults import LEASE_SECONDS, Faults, plan
from tests.chaos.operators import Operators
from tests.chaos.senders import Post, Sender, ServiceBusPost, StoragePost
from tests.support.operator_harness import OperatorHarness
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import wait_for_crd

ROOT = Path(__file__).parents[2]
QUEUE = "chaos"
LOCK_SECONDS = 5.0
SETTLED_WITHIN_SECONDS = 600  # what is looked for is loss, not speed: on a busy machine it took longer than 180
LOG_TAIL = 12_000

Object = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """How much happens."""

    messages: int
    """In each of the two queues."""
    kills: int
    """SIGKILLs of operators, at least."""


SCALES = {"short": Scale(500, 30), "long": Scale(2500, 150)}


@dataclass
class Chaos:
    """The services, two operators and two senders, and everything between them."""

    harness: OperatorHarness
    azurite: Azurite
    broker: ServiceBusBroker
    operators: Operators
    senders: dict[str, Sender]
    faults: Faults
    seed: int
    scale: Scale
    storage: StoragePost
    diary: Diary

    def left(self) -> dict[str, int]:
        """What is not settled yet, by place; empty when all is."""
        counts = self.broker.counts(QUEUE)
        here = {
            "storage": self.storage.left(),
            "waiting": counts.active,
            "locked": counts.locked,
            "Jobs": 2 * self.scale.messages - len(self.harness.kubectl.list("jobs")),
        }
        return {place: count for place, count in here.items() if count}

    def diagnostics(self) -> str:
        """For a failure: how to repeat it, what was done, what the operators said."""
        logs = [f"--- {name}\n{self.operators.log(name).read_text()[-LOG_TAIL:]}" for name in Operators.NAMES]
        return f"VOTT_CHAOS_SEED={self.seed} repeats these faults:\n{self.diary}\n" + "\n".join(logs)


@pytest.fixture
def chaos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Chaos]:
    seed = int(os.environ.get("VOTT_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    scale = SCALES[os.environ.get("VOTT_CHAOS") or "short"]
    with capsys.disabled():
        print(f"\nVOTT_CHAOS_SEED={seed} {scale}")
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(controllers=True))
        kubectl(control_plane.kubeconfig, "apply", "--server-side", "-f", str(ROOT / "manifests" / "crd.yaml"))
        wait_for_crd(partial(kubectl, control_plane.kubeconfig))
        azurite = stack.enter_context(Azurite())
        broker = stack.enter_context(
            ServiceBusBroker({QUEUE: QueueOptions(lock_seconds=LOCK_SECONDS, duplicate_detection_seconds=3600)})
        )
        ports = {"API server": _port(control_plane.server), "Azurite": azurite.queue_port, "broker": broker.port}
        proxies = {name: stack.enter_context(TcpProxy(port)) for name, port in ports.items()}
        harness = stack.enter_context(OperatorHarness(control_plane, azurite, QUEUE, _values(azurite, broker, proxies)))
        diary = Diary(tmp_path / "faults.log")
        election = Election(harness, tmp_path)
        operators = Operators(_environment(harness, tmp_path, azurite, broker, proxies), tmp_path, diary)
        storage = StoragePost(azurite.connection_string, QUEUE)
        posts: dict[str, Post] = {"storage": storage, "serviceBus": ServiceBusPost(broker, QUEUE, seed)}
        senders = {kind: stack.enter_context(Sender(post, scale.messages)) for kind, post in posts.items()}
        faults = Faults(control_plane, azurite, broker, operators, senders, proxies, election, diary)
        stack.enter_context(operators)
        yield Chaos(harness, azurite, broker, operators, senders, faults, seed, scale, storage, diary)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _values(azurite: Azurite, broker: ServiceBusBroker, proxies: dict[str, TcpProxy]) -> Object:
    """The chart's values: the two queues, and more room than messages, as nothing trains here."""
    model = "https://store/models/{projectId}-{requestId}.tgz"
    return {
        "queues": [{"kind": kind, "name": QUEUE, "model": model} for kind in ("storage", "serviceBus")],
        "azure": {
            "connectionString": connection_string(azurite.host, azurite.blob_port, proxies["Azurite"].port),
            "serviceBusConnectionString": broker.connection_string_at(proxies["broker"].address),
        },
        "maxUnfinishedJobs": 100_000,
        "leaderElection": {"enabled": True, "leaseDurationSeconds": LEASE_SECONDS},
    }


def _environment(
    harness: OperatorHarness, folder: Path, azurite: Azurite, broker: ServiceBusBroker, proxies: dict[str, TcpProxy]
) -> dict[str, str]:
    """As the chart sets an operator up, but everything it talks to is behind a proxy."""
    settings = yaml.safe_load(harness.kubectl.get("configmap", "vott-train-settings")["data"]["settings.yaml"])
    for queue in settings["queues"]:
        queue.pop("credentialsDir", None)  # the environment has them
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump(settings))
    account = harness.control_plane.user_kubeconfig(
        f"system:serviceaccount:{harness.name}:vott-train", ["system:serviceaccounts", "system:authenticated"]
    )
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        account.read_text().replace(harness.control_plane.server, f"https://{proxies['API server'].address}")
    )
    values = _values(azurite, broker, proxies)["azure"]
    return {
        "VOTT_TRAIN_CONFIG": str(config),
        "KUBECONFIG": str(kubeconfig),
        "AZURE_STORAGE_CONNECTION_STRING": values["connectionString"],
        "AZURE_SERVICE_BUS_CONNECTION_STRING": values["serviceBusConnectionString"],
    }


@pytest.mark.timeout(3600)
def test_nothing_is_lost_and_nothing_doubled_whatever_dies(chaos: Chaos, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _let_it_happen(chaos)
        _check(chaos)
    except BaseException:
        print(chaos.diagnostics())
        raise
    with capsys.disabled():
        print(f"{chaos.operators.kills} operators killed;{str(chaos.diary).splitlines()[-1]}")


def _let_it_happen(chaos: Chaos) -> None:
    faults = plan(chaos.seed, chaos.scale.kills)
    for number, fault in enumerate(faults, 1):
        for sender in chaos.senders.values():
            sender.allow(number / len(faults))
        chaos.faults.strike(fault)
    chaos.faults.end()
    for sender in chaos.senders.values():
        sender.finish(SETTLED_WITHIN_SECONDS)
    assert chaos.operators.kills >= chaos.scale.kills


def _check(chaos: Chaos) -> None:
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while left := chaos.left():
        assert time.monotonic() < deadline, f"not settled after {SETTLED_WITHIN_SECONDS} s without faults: {left}"
        time.sleep(1)
    sent = {message_id for sender in chaos.senders.values() for message_id in sender.sent}
    assert len(sent) == 2 * chaos.scale.messages
    trainingjobs = chaos.harness.trainingjobs()
    assert Counter(item["metadata"]["annotations"]["vott.dev/message-id"] for item in trainingjobs) == Counter(sent)
    owners = [job["metadata"]["ownerReferences"][0]["uid"] for job in chaos.harness.kubectl.list("jobs")]
    assert Counter(owners) == Counter(item["metadata"]["uid"] for item in trainingjobs)
    assert chaos.harness.poison() == []
    assert chaos.broker.dead_letters(QUEUE) == []
