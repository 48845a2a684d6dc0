"""The demo's chart values and Helm release."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import chart
from demo.chart import Release, values
from demo.errors import SetupError
from localcluster.azurite import connection_string

KEY = "AccountKey=a2V5;EndpointSuffix=core.windows.net"
VALUES = {"queues": [{"kind": "storage", "name": "training"}], "replicas": 1, "outgoing": {"hosts": []}}
HELM = """#!/bin/sh
case "$1" in
get) cat {stored} || {{ echo "{error}" >&2; exit 1; }} ;;
upgrade) cat > {stored} ;;
esac
"""
AZURE = f"DefaultEndpointsProtocol=https;AccountName=acme;{KEY}"


def outgoing(storage: str, host_address: str | None) -> dict[str, object]:
    section: dict[str, object] = values(storage, "training", "operator:1", "trainer:1", host_address)["outgoing"]
    return section


@pytest.mark.parametrize(
    ("storage", "host_address", "expected"),
    [
        (AZURE, None, {"allowHttp": False, "hosts": ["acme.blob.core.windows.net"], "networks": []}),
        (AZURE, "demo.acme.net", {"allowHttp": True, "hosts": ["acme.blob.core.windows.net", "demo.acme.net"], "networks": []}),
        (AZURE, "10.0.0.9", {"allowHttp": True, "hosts": ["acme.blob.core.windows.net"], "networks": ["10.0.0.9/32"]}),
        (
            connection_string("10.244.0.1", 16000, 16001),
            "10.244.0.1",
            {"allowHttp": True, "hosts": [], "networks": ["10.244.0.1/32"]},
        ),
    ],
)  # fmt: skip
def test_messages_may_name_only_the_demos_storage_and_host(
    storage: str, host_address: str | None, expected: dict[str, object]
) -> None:
    assert outgoing(storage, host_address) == expected | {"publicAddresses": False}


# ---------------------------------------------------------------------------------------------------- existing release


class Cluster:
    """A fake Helm that stores the values of one release, and a fake kubectl that records its calls."""

    def __init__(self, folder: Path) -> None:
        self.stored, self.calls = folder / "values.json", list[tuple[str, ...]]()
        self._helm = folder / "helm"
        self.set_error("Error: release: not found")

    def set_error(self, text: str) -> None:
        """Helm's error while there is no release."""
        self._helm.write_text(HELM.format(stored=self.stored, error=text))
        self._helm.chmod(0o755)

    def kubectl(self, *_: str) -> "Cluster":
        return self

    def __call__(self, *args: str) -> str:
        self.calls.append(args)
        return "namespace/ns"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    cluster = Cluster(tmp_path)
    monkeypatch.setattr(chart, "Kubectl", cluster.kubectl)
    return cluster


def rejection(cluster: Cluster) -> str:
    before = cluster.stored.read_text() if cluster.stored.exists() else None
    cluster.calls.clear()
    with pytest.raises(SetupError) as caught:
        Release("/k", "ns").install(VALUES)
    assert (cluster.stored.read_text() if cluster.stored.exists() else None) == before
    assert not cluster.calls, "the CustomResourceDefinition was changed"
    return caught.value.message


def test_the_demos_release_can_be_upgraded(cluster: Cluster) -> None:
    release = Release("/k", "ns")
    release.install(VALUES)
    release.install(VALUES | {"replicas": 2})
    current = json.loads(cluster.stored.read_text())
    assert current | VALUES | {"replicas": 2} == current


@pytest.mark.parametrize(
    "values_json", ["null", "{}", '{"replicas": 1}', '{"global": null}', '{"global": {"a": 1}}', json.dumps(VALUES)]
)
def test_a_foreign_release_is_not_changed(values_json: str, cluster: Cluster) -> None:
    cluster.stored.write_text(values_json)
    message = rejection(cluster)
    assert "release vott-train in namespace ns" in message
    assert "Set NAMESPACE" in message
    assert "helm uninstall vott-train --namespace ns" in message


@pytest.mark.parametrize("change", [{"replicas": 2}, {"trainer": {"modelStore": {"containers": ["models"]}}}])
def test_a_release_that_was_changed_since_is_not_changed(change: dict[str, Any], cluster: Cluster) -> None:
    Release("/k", "ns").install(VALUES)
    cluster.stored.write_text(json.dumps(json.loads(cluster.stored.read_text()) | change))
    assert "was changed since" in rejection(cluster)


def test_nothing_is_changed_if_helm_fails(cluster: Cluster) -> None:
    cluster.set_error("Error: Kubernetes cluster unreachable")
    assert "cluster unreachable" in rejection(cluster)
