"""The Helm chart, installed with Helm itself."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.errors import SetupError
from demo.kubectl import Kubectl, KubectlError
from localcluster.paths import STATE

CHART = Path(__file__).parent.parent / "charts" / "vott-train"
CRD = CHART / "crds" / "trainingjobs.yaml"
RELEASE = "vott-train"
TIMEOUT = "180s"


@dataclass(frozen=True)
class Release:
    """One release of the chart in a cluster."""

    kubeconfig: str
    namespace: str
    name: str = RELEASE

    def install(self, values: dict[str, Any]) -> None:
        """Install or upgrade, and wait until the operator is ready. Raises `SetupError` with what Helm said."""
        try:  # Helm never changes a CustomResourceDefinition that is there
            Kubectl(self.kubeconfig, self.namespace)("apply", "--server-side", "--force-conflicts", f"--filename={CRD}")
        except KubectlError as error:
            raise SetupError(str(error)) from None
        self._helm(
            "upgrade",
            "--install",
            "--skip-crds",
            "--create-namespace",
            self.name,
            str(CHART),
            "--values=-",
            "--wait",
            f"--timeout={TIMEOUT}",
            stdin=values,
        )

    def uninstall(self) -> None:
        """Remove the release; the CustomResourceDefinition stays, as Helm does it."""
        self._helm("uninstall", self.name, "--ignore-not-found")

    def _helm(self, *args: str, stdin: dict[str, Any] | None = None) -> None:
        where = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        text = json.dumps(stdin) if stdin else None  # credentials: on no command line, in no file
        result = subprocess.run([_helm(), *args, *where], input=text, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SetupError(f"helm {args[0]} of {self.name} in namespace {self.namespace}: {result.stderr.strip()}")


def values(connection_string: str, queue: str, operator_image: str, trainer_image: str) -> dict[str, Any]:
    """The chart's values for a demonstration: callbacks may go over http, since they go to the demo itself."""
    repository, tag = split_image(operator_image)
    return {
        "image": {"repository": repository, "tag": tag},
        "azure": {"connectionString": connection_string},
        "queues": [{"kind": "storage", "name": queue}],
        "trainer": {"image": trainer_image},
        "callbacks": {"allowHttp": True},
    }


def split_image(image: str) -> tuple[str, str]:
    """Repository and tag of an image reference; the tag is `latest` where it names none."""
    repository, colon, tag = image.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (image, "latest")


def _helm() -> str:
    found = shutil.which("helm", path=f"{os.environ['PATH']}:{STATE / 'bin'}")  # the latter is the local cluster's own
    if found is None:
        raise SetupError(
            "Helm is missing, and the chart is installed with it: put the program helm in a folder of PATH"
        )
    return found
