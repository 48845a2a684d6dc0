"""Render and lint the chart with Helm."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from localcluster.go_programs import binaries
from tests.support.operator_process import ROOT

Object = dict[str, Any]
CHART = str(ROOT / "charts/vott-train")
KEYS: Object = {"connectionString": "storage", "serviceBusConnectionString": "bus"}
NO_CLUSTER: Object = {"networkPolicy": {"apiServer": ["10.0.0.1/32"]}}
"""Value that `helm template` needs because it does not query an API server."""


def template(values: Object) -> subprocess.CompletedProcess[str]:
    """Run `helm template` for release `vott` in namespace `train`."""
    return _helm("template", "vott", CHART, "--values=-", "-n", "train", values=NO_CLUSTER | values)


def notes(values: Object) -> str:
    """The text that `helm install` prints at its end."""
    result = _helm(
        "install", "vott", CHART, "--values=-", "-n", "train", "--dry-run=client", values=NO_CLUSTER | values
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.partition("NOTES:\n")[2]


def lint(values: Object) -> subprocess.CompletedProcess[str]:
    """Run `helm lint`, without an API server's address."""
    return _helm("lint", CHART, "--values=-", values=values)


def change_release(kubeconfig: Path, namespace: str, *arguments: str, values: Object | None = None) -> None:
    """Install, upgrade or uninstall with a real API server; a failure fails the test."""
    flags = (f"--kubeconfig={kubeconfig}", f"--namespace={namespace}")
    chart = () if values is None else (CHART, "--values=-")
    result = _helm(*arguments, *chart, *flags, values=NO_CLUSTER | (values or {}))
    assert result.returncode == 0, result.stderr


def _helm(*arguments: str, values: Object) -> subprocess.CompletedProcess[str]:
    command = [str(binaries() / "helm"), *arguments]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True)


def render(values: Object) -> list[Object]:
    """Render the manifests; rejected values fail the test."""
    result = template(values)
    assert result.returncode == 0, result.stderr
    return [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]


def manifest_of_kind(kind: str, manifests: list[Object]) -> Object:
    """The only manifest of that kind."""
    (found,) = [item for item in manifests if item["kind"] == kind]
    return found
