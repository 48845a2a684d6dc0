"""Run kubectl, with Python types."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from demo.errors import ObservationError
from localcluster.kubectl import kubectl_path

REQUEST_TIMEOUT = "--request-timeout=20s"
TRAININGJOB_LABEL = "vott.dev/trainingjob"

Manifest = dict[str, Any]


class KubectlError(ObservationError):
    """kubectl failed; the text is its error message."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one kubeconfig and namespace. Every method may raise KubectlError."""

    kubeconfig: str
    namespace: str

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl and return its output."""
        flags = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", REQUEST_TIMEOUT]
        result = subprocess.run(
            [kubectl_path(), *flags, *args], input=stdin, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {result.stderr.strip()}")
        return result.stdout

    def get(self, kind: str, name: str) -> Manifest:
        """One object."""
        manifest: Manifest = json.loads(self("get", kind, name, "--output=json"))
        return manifest

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        """Objects of a kind in the namespace that match the label selector."""
        items: list[Manifest] = json.loads(self("get", kind, f"--selector={selector}", "--output=json"))["items"]
        return items

    def apply(self, manifest: Manifest) -> None:
        """Create or update one object."""
        self("apply", "--filename=-", stdin=json.dumps(manifest))

    def logs(self, trainingjob: str, lines: int = 20) -> str:
        """The last log lines of the TrainingJob's pods; empty if there are none."""
        selector = f"--selector={TRAININGJOB_LABEL}={trainingjob}"
        return self("logs", selector, f"--tail={lines}", "--ignore-errors").strip()
