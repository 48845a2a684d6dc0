"""One cluster, one corner of it for the session, and all messages on their way at once."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo import chart
from demo.environment import local_site, start_local
from demo.errors import SetupError
from demo.kubectl import Kubectl
from demo.storage import Storage
from tests.e2e.scenarios import Scenario
from tests.support.lab import Lab, Submission
from tests.support.queue_proxy import QueueProxy
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.waiting import picture

# Two cores train two models at once, so a pod may not ask for a whole one.
TRAINER_RESOURCES = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}
QUICK = {"epochs": 2}  # of messages that name no parameters
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SESSION_PROCESS = "vott.dev/e2e-process"  # label of a session's namespace: the process that made it


@pytest.fixture(scope="session")
def local() -> dict[str, str]:
    """What `.local/env` says, once the local cluster runs and has both images."""
    return start_local("--no-operator")


@pytest.fixture(scope="session")
def lab(local: dict[str, str]) -> Iterator[Lab]:
    """Namespace, queue and operator of this session; nothing of it is left afterwards."""
    site, name = local_site(local), f"vott-e2e-{secrets.token_hex(3)}"
    storage, kubectl, host = Storage(site.storage), Kubectl(site.kubeconfig, name), local["HOST_ADDRESS"]
    release = chart.Release(site.kubeconfig, name, name)
    _remove_abandoned(kubectl)
    with ExitStack() as cleanup:  # each step is taken even where another one fails
        proxy = cleanup.enter_context(QueueProxy(host, storage.queue_service_url))
        broker = cleanup.enter_context(ServiceBusBroker({name: QueueOptions()}, host=host))
        lab = Lab(name, kubectl, storage, host, proxy, broker)
        cleanup.callback(lab.close)
        cleanup.callback(kubectl, "delete", "namespace", name, "--ignore-not-found", "--wait=false")
        _create_namespace(kubectl)
        cleanup.callback(release.uninstall)
        _install(release, _values(local, lab), kubectl)
        yield lab


@pytest.fixture(scope="session")
def sent(request: pytest.FixtureRequest, lab: Lab) -> dict[Scenario, Submission]:
    """The messages of all chosen tests: sent together, they wait for GPUs side by side."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = dict.fromkeys(param["submission"] for param in params if "submission" in param)
    return {scenario: scenario(lab) for scenario in wanted}


@pytest.fixture
def submission(request: pytest.FixtureRequest, sent: dict[Scenario, Submission]) -> Submission:
    """The message of the scenario that the test names."""
    return sent[request.param]


def _create_namespace(kubectl: Kubectl) -> None:
    labels = RESTRICTED | {SESSION_PROCESS: str(os.getpid())}
    metadata = {"name": kubectl.namespace, "labels": labels}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def _remove_abandoned(kubectl: Kubectl) -> None:
    """Remove what killed sessions left in the cluster: their trainings would hold its GPUs."""
    for namespace in kubectl.list("namespaces", SESSION_PROCESS):
        metadata = namespace["metadata"]
        if not Path("/proc", metadata["labels"][SESSION_PROCESS]).exists():
            chart.Release(kubectl.kubeconfig, metadata["name"], metadata["name"]).uninstall()
            kubectl("delete", "namespace", metadata["name"], "--ignore-not-found", "--wait=false")


def _install(release: chart.Release, values: dict[str, object], kubectl: Kubectl) -> None:
    try:
        release.install(values)
    except SetupError as error:
        raise AssertionError(f"{error.message}\n{picture(kubectl)}") from error


def _values(local: dict[str, str], lab: Lab) -> dict[str, object]:
    """As the demo installs it, with the queue behind the proxy, a Service Bus queue beside it, and a standby."""
    direct, connection_string = lab.storage.queue_service_url.rstrip("/"), lab.storage.connection_string
    assert f"QueueEndpoint={direct}" in connection_string, "there is no queue endpoint that the proxy could stand for"
    proxied = connection_string.replace(f"QueueEndpoint={direct}", f"QueueEndpoint={lab.proxy.url.rstrip('/')}")
    values = chart.values(proxied, lab.name, local["OPERATOR_IMAGE"], local["TRAINER_IMAGE"])
    return values | {
        "azure": {"connectionString": proxied, "serviceBusConnectionString": lab.broker.connection_string},
        "queues": [
            {"kind": "storage", "name": lab.name, "parameters": QUICK},
            {"kind": "serviceBus", "name": lab.name},
        ],
        "trainer": values["trainer"] | {"resources": TRAINER_RESOURCES},
        "replicas": 2,
    }
