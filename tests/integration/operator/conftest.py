"""One control plane and one Azurite for the session; a namespace and a queue for each test."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from demo.callbacks import CallbackReceiver
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.operator_harness import OperatorHarness
from tests.support.waiting import install_crd
from vott_operator.cluster.client import Cluster

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(controllers=True) as running:
        install_crd(running.kubeconfig)
        yield running


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture
def harness(request: pytest.FixtureRequest, control_plane: ControlPlane, azurite: Azurite) -> Iterator[OperatorHarness]:
    """Harness of the test; parametrize indirectly to set chart values."""
    with OperatorHarness(control_plane, azurite, f"harness-{next(numbers)}", getattr(request, "param", {})) as harness:
        yield harness


@pytest.fixture
async def cluster(harness: OperatorHarness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """The operator's Kubernetes client, with administrator permissions."""
    monkeypatch.setenv("KUBECONFIG", str(harness.control_plane.kubeconfig))
    cluster = await Cluster.connect()
    yield cluster
    await cluster.close()


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver("127.0.0.1") as receiver:
        yield receiver
