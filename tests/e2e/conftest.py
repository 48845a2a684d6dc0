"""One harness on the local cluster for the whole session; all messages and TrainingJobs start at once."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from demo import chart
from demo.environment import start_local
from demo.errors import SetupError
from demo.kubectl import Kubectl
from demo.storage import Storage
from localcluster.operator_install import NETWORK_VALUES
from tests.e2e.training import WORKING, Training
from tests.support.cluster_harness import ClusterHarness, Submission
from tests.support.queue_proxy import QueueProxy
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.waiting import diagnostics, wait_until

QUICK = {"epochs": 2}  # parameters of messages that have none
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
STALLED_AFTER_SECONDS = 30
WORK_REQUEST = "64Mi"  # all trainings run at once on one small node
CHECKPOINTS, IMAGES, PLUGINS = "checkpoints", "images", "our-plugins"  # the samples use this name for plugins
CHECKPOINT_SECONDS = 5
# Small, because the operator shares its node with trainings.
OPERATOR_RESOURCES = {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
Start: TypeAlias = Callable[[ClusterHarness], Submission | Training]
SESSION_PROCESS = "vott.dev/e2e-process"  # label of a session's namespace: the pid of the process that created it


@pytest.fixture(scope="session")
def local() -> dict[str, str]:
    """Start the local cluster with both images; return the variables of `.local/env`."""
    return start_local("--no-operator")


@pytest.fixture(scope="session")
def harness(local: dict[str, str]) -> Iterator[ClusterHarness]:
    """Namespace, queues and operator of this session, removed afterwards."""
    name, kubeconfig, host = f"vott-e2e-{secrets.token_hex(3)}", local["KUBECONFIG"], local["HOST_ADDRESS"]
    storage, kubectl = Storage(local["AZURE_STORAGE_CONNECTION_STRING"]), Kubectl(kubeconfig, name)
    release = chart.Release(kubeconfig, name, name)
    _remove_abandoned(kubectl)
    with ExitStack() as cleanup:  # each cleanup step runs even if another fails
        proxy = cleanup.enter_context(QueueProxy(host, storage.queue_service_url))
        broker = cleanup.enter_context(ServiceBusBroker({name: QueueOptions()}, host=host))
        harness = ClusterHarness(name, kubectl, storage, host, proxy, broker)
        cleanup.callback(harness.close)
        cleanup.callback(kubectl, "delete", "namespace", name, "--ignore-not-found", "--wait=false")
        _create_namespace(kubectl)
        for claim in (CHECKPOINTS, IMAGES):
            harness.create_claim(_claim(claim))
        cleanup.callback(release.uninstall)
        # before the operator is uninstalled, because it removes the finalizers
        cleanup.callback(_delete_trainings, kubectl)
        _install(release, _values(local, harness), kubectl)
        yield harness


@pytest.fixture
def upgrade(local: dict[str, str], harness: ClusterHarness) -> Callable[[dict[str, Any]], None]:
    """Return a function that upgrades the chart's trainer values and waits for the new operators."""

    def upgrade(trainer: dict[str, Any]) -> None:
        values = _values(local, harness)
        values["trainer"] |= trainer
        _install(chart.Release(harness.kubectl.kubeconfig, harness.name, harness.name), values, harness.kubectl)

    return upgrade


@pytest.fixture(scope="session")
def started(request: pytest.FixtureRequest, harness: ClusterHarness) -> dict[Start, Any]:
    """Start the cases of all selected tests at once: send messages, create TrainingJobs, apply samples."""
    cases = [case for kind in ("submission", "training", "sample") for case in _selected(request, kind)]
    return {case: case(harness) for case in dict.fromkeys(cases)}


@pytest.fixture
def submission(request: pytest.FixtureRequest, started: dict[Start, Any]) -> Submission:
    """The sent message of the test's case."""
    message: Submission = started[request.param]
    return message


@pytest.fixture
def training(request: pytest.FixtureRequest, started: dict[Start, Any]) -> Training:
    """The created TrainingJob of the test's case."""
    training: Training = started[request.param]
    return training


def _selected(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """Values of a parameter in the selected tests."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    return [param[parameter] for param in params if parameter in param]


def _create_namespace(kubectl: Kubectl) -> None:
    labels = RESTRICTED | {SESSION_PROCESS: str(os.getpid())}
    metadata = {"name": kubectl.namespace, "labels": labels}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def _claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _remove_abandoned(kubectl: Kubectl) -> None:
    """Remove the namespaces of killed sessions, because their trainings hold GPUs."""
    for namespace in kubectl.list("namespaces", SESSION_PROCESS):
        metadata = namespace["metadata"]
        if not Path("/proc", metadata["labels"][SESSION_PROCESS]).exists():
            chart.Release(kubectl.kubeconfig, metadata["name"], metadata["name"]).uninstall()
            kubectl("delete", "namespace", metadata["name"], "--ignore-not-found", "--wait=false")


def _delete_trainings(kubectl: Kubectl) -> None:
    kubectl("delete", "trainingjobs", "--all", "--wait=false")
    wait_until(
        "no TrainingJob", lambda: not kubectl.list("trainingjobs"), seconds=60, dump=lambda: diagnostics(kubectl)
    )


def _install(release: chart.Release, values: dict[str, Any], kubectl: Kubectl) -> None:
    try:
        release.install(values)
    except SetupError as error:
        raise AssertionError(f"{error.message}\n{diagnostics(kubectl)}") from error


def _values(local: dict[str, str], harness: ClusterHarness) -> dict[str, Any]:
    """The demo's chart values, plus the proxy, a Service Bus queue, shared volumes and a second replica."""
    direct, connection_string = harness.storage.queue_service_url.rstrip("/"), harness.storage.connection_string
    assert f"QueueEndpoint={direct}" in connection_string, (
        "the connection string has no queue endpoint for the proxy to replace"
    )
    proxied = connection_string.replace(f"QueueEndpoint={direct}", f"QueueEndpoint={harness.proxy.url.rstrip('/')}")
    values = chart.values(proxied, harness.name, local["OPERATOR_IMAGE"], local["TRAINER_IMAGE"], harness.host)
    return values | {
        **NETWORK_VALUES,
        "azure": {"connectionString": proxied, "serviceBusConnectionString": harness.broker.connection_string},
        "queues": [
            {"kind": "storage", "name": harness.name, "parameters": QUICK},
            {"kind": "serviceBus", "name": harness.name},
        ],
        "trainer": values["trainer"]
        | {"resources": WORKING, "stalledAfterSeconds": STALLED_AFTER_SECONDS, "workRequest": WORK_REQUEST}
        | {"checkpoints": {"persistentVolumeClaim": CHECKPOINTS, "everySeconds": CHECKPOINT_SECONDS}}
        | {"imageCache": {"persistentVolumeClaim": IMAGES}, "plugins": {"configMap": PLUGINS}},
        "replicas": 2,
        "resources": OPERATOR_RESOURCES,
    }
