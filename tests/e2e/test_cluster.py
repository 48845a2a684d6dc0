"""The cluster and what is installed in it."""

import subprocess
import sys

import pytest

from demo.kubectl import KubectlError
from tests.support.lab import Lab

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
def test_local_cluster_says_that_it_is_healthy() -> None:
    command = [sys.executable, "-m", "localcluster", "status"]
    status = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert status.returncode == 0, status.stdout + status.stderr


@pytest.mark.parametrize("path", PATHS)
def test_kubectl_explain_describes_every_field(lab: Lab, path: str) -> None:
    explained = lab.kubectl("explain", f"trainingjob.{path}")
    assert "<no description>" not in explained


def test_operator_runs_under_pod_security_restricted(lab: Lab) -> None:
    labels = lab.kubectl.get("namespace", lab.name)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    def run() -> bool:
        return [pod["status"]["phase"] for pod in lab.operator_pods()] == ["Running"] * 2

    lab.wait("two operators that run", run)  # one may just be taking the place of another


def test_operator_may_not_read_beyond_its_namespace(lab: Lab) -> None:
    account = f"--as=system:serviceaccount:{lab.name}:{lab.name}"
    for kind in ("secrets", "trainingjobs", "pods"):
        with pytest.raises(KubectlError, match="forbidden"):
            lab.kubectl("get", kind, account, "--namespace=kube-system")
