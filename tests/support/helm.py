"""What Helm makes of the chart's values."""

import json
import subprocess
from typing import Any

import yaml

from localcluster.go_programs import binaries
from tests.support.operator_process import ROOT

Object = dict[str, Any]
CHART = str(ROOT / "charts/vott-train")
KEYS: Object = {"connectionString": "storage", "serviceBusConnectionString": "bus"}
NO_CLUSTER: Object = {"networkPolicy": {"apiServer": ["10.0.0.1/32"]}}
"""What `helm template` has to be told, as it asks no API server."""


def template(values: Object) -> subprocess.CompletedProcess[str]:
    """What `helm template` answers for a release `vott` in namespace `train`."""
    return _helm("template", "vott", CHART, "--values=-", "-n", "train", values=NO_CLUSTER | values)


def lint(values: Object) -> subprocess.CompletedProcess[str]:
    """What `helm lint` answers, to which no address of an API server is told."""
    return _helm("lint", CHART, "--values=-", values=values)


def _helm(*arguments: str, values: Object) -> subprocess.CompletedProcess[str]:
    command = [str(binaries() / "helm"), *arguments]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True)


def rendered(values: Object) -> list[Object]:
    """The manifests; values that are refused are an error."""
    result = template(values)
    assert result.returncode == 0, result.stderr
    return [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]


def one(kind: str, manifests: list[Object]) -> Object:
    """The only one of that kind."""
    (found,) = [item for item in manifests if item["kind"] == kind]
    return found
