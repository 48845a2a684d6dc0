"""The local cluster, the CRD and the operator's pods."""

import subprocess
import sys

import pytest

from demo.kubectl import KubectlError
from tests.support.cluster_harness import ClusterHarness

PATHS = [
    "spec",
    "spec.trainer",
    "spec.trainer.resources",
    "status",
    "status.progress",
    "status.model",
    "status.conditions",
]


@pytest.mark.usefixtures("local")
def test_status_of_the_local_cluster_is_healthy() -> None:
    command = [sys.executable, "-m", "localcluster", "status"]
    status = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert status.returncode == 0, status.stdout + status.stderr


@pytest.mark.parametrize("path", PATHS)
def test_kubectl_explain_describes_every_field(harness: ClusterHarness, path: str) -> None:
    explained = harness.kubectl("explain", f"trainingjob.{path}")
    assert "<no description>" not in explained


def test_operator_runs_under_pod_security_restricted(harness: ClusterHarness) -> None:
    labels = harness.kubectl.get("namespace", harness.name)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    def both_run() -> bool:
        return [pod["status"]["phase"] for pod in harness.operator_pods()] == ["Running"] * 2

    harness.wait("two running operators", both_run)  # a pod may just be replaced


def test_operator_may_not_read_other_namespaces(harness: ClusterHarness) -> None:
    account = f"--as=system:serviceaccount:{harness.name}:{harness.name}"
    for kind in ("secrets", "trainingjobs", "pods"):
        with pytest.raises(KubectlError, match="forbidden"):
            harness.kubectl("get", kind, account, "--namespace=kube-system")
