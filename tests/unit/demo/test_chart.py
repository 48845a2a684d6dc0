"""What the demo installs the chart with."""

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
get) cat {kept} || {{ echo "{answer}" >&2; exit 1; }} ;;
upgrade) cat > {kept} ;;
esac
"""
AZURE = f"DefaultEndpointsProtocol=https;AccountName=acme;{KEY}"


def outgoing(storage: str, host_address: str | None) -> dict[str, object]:
    found: dict[str, object] = values(storage, "training", "operator:1", "trainer:1", host_address)["outgoing"]
    return found


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
def test_messages_of_the_demo_may_name_its_own_storage_and_itself_only(
    storage: str, host_address: str | None, expected: dict[str, object]
) -> None:
    assert outgoing(storage, host_address) == expected | {"publicAddresses": False}


# ------------------------------------------------------------------------------------------------- what is there already


class Cluster:
    """A Helm that keeps the values of one release, and a kubectl that keeps what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.kept, self.asked = folder / "values.json", list[tuple[str, ...]]()
        self._helm = folder / "helm"
        self.answers("Error: release: not found")

    def answers(self, text: str) -> None:
        """What Helm says while there is no release."""
        self._helm.write_text(HELM.format(kept=self.kept, answer=text))
        self._helm.chmod(0o755)

    def kubectl(self, *_: str) -> "Cluster":
        return self

    def __call__(self, *args: str) -> str:
        self.asked.append(args)
        return "namespace/ns"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    cluster = Cluster(tmp_path)
    monkeypatch.setattr(chart, "Kubectl", cluster.kubectl)
    return cluster


def refusal(cluster: Cluster) -> str:
    before = cluster.kept.read_text() if cluster.kept.exists() else None
    cluster.asked.clear()
    with pytest.raises(SetupError) as caught:
        Release("/k", "ns").install(VALUES)
    assert (cluster.kept.read_text() if cluster.kept.exists() else None) == before
    assert not cluster.asked, "the CustomResourceDefinition would be another already"
    return caught.value.message


def test_its_own_release_takes_other_values(cluster: Cluster) -> None:
    release = Release("/k", "ns")
    release.install(VALUES)
    release.install(VALUES | {"replicas": 2})
    there = json.loads(cluster.kept.read_text())
    assert there | VALUES | {"replicas": 2} == there


@pytest.mark.parametrize(
    "theirs", ["null", "{}", '{"replicas": 1}', '{"global": null}', '{"global": {"a": 1}}', json.dumps(VALUES)]
)
def test_somebody_elses_release_stays_as_it_is(theirs: str, cluster: Cluster) -> None:
    cluster.kept.write_text(theirs)
    message = refusal(cluster)
    assert "release vott-train in namespace ns" in message
    assert "Set NAMESPACE" in message
    assert "helm uninstall vott-train --namespace ns" in message


@pytest.mark.parametrize("change", [{"replicas": 2}, {"trainer": {"modelStore": {"containers": ["models"]}}}])
def test_a_release_that_somebody_went_on_with_stays_as_it_is(change: dict[str, Any], cluster: Cluster) -> None:
    Release("/k", "ns").install(VALUES)
    cluster.kept.write_text(json.dumps(json.loads(cluster.kept.read_text()) | change))
    assert "was changed since" in refusal(cluster)


def test_where_helm_cannot_tell_nothing_is_changed(cluster: Cluster) -> None:
    cluster.answers("Error: Kubernetes cluster unreachable")
    assert "cluster unreachable" in refusal(cluster)
