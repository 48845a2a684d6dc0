"""Install the Helm chart on the user's cluster."""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.errors import SetupError
from demo.kubectl import Kubectl, KubectlError
from demo.outgoing import outgoing
from localcluster.paths import STATE

CHART = Path(__file__).parent.parent / "charts" / "vott-train"
CRD = CHART / "crds" / "trainingjobs.yaml"
RELEASE = "vott-train"
TIMEOUT = "180s"
DIGEST_KEY = "vottTrainDemo"
"""Key in the chart's `global` values, which no template reads, for the digest of the values that the demo installed."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Release:
    """One release of the chart in a cluster."""

    kubeconfig: str
    namespace: str
    name: str = RELEASE

    def install(self, values: dict[str, Any]) -> None:
        """Install or upgrade, and wait until the operator is ready.

        Raises:
            SetupError: Helm failed, or the existing release is not the demo's.
        """
        self._check_is_ours()
        kubectl = Kubectl(self.kubeconfig, self.namespace)
        try:  # Helm never upgrades a CustomResourceDefinition
            kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRD}")
            self._ensure_namespace(kubectl)
        except KubectlError as error:
            raise SetupError(str(error)) from None
        self._helm(
            "upgrade",
            "--install",
            "--skip-crds",
            self.name,
            str(CHART),
            "--values=-",
            "--wait",
            f"--timeout={TIMEOUT}",
            stdin=values | {"global": {DIGEST_KEY: _digest(values)}},
        )

    def _check_is_ours(self) -> None:
        """Reject a release with other values than the demo installed, because an upgrade would replace them."""
        result = self._run("get", "values", self.name, "--output=json")
        if result.returncode and "release: not found" in result.stderr:
            return
        current = json.loads(self._output(result) or "null") or {}  # null: no values
        digest = (current.pop("global", None) or {}).get(DIGEST_KEY)
        if digest != _digest(current):
            raise SetupError(
                f"Helm release {self.name} in namespace {self.namespace} is not the demo's, or was changed since: the demo would"
                f" replace its settings. Set NAMESPACE to another namespace, or remove the release with"
                f" `helm uninstall {self.name} --namespace {self.namespace}`."
            )

    def _ensure_namespace(self, kubectl: Kubectl) -> None:
        """Create a missing namespace with Pod Security level "restricted"; an existing one is unchanged."""
        if not kubectl("get", "namespace", self.namespace, "--ignore-not-found", "--output=name"):
            metadata = {"name": self.namespace, "labels": RESTRICTED}
            kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def uninstall(self) -> None:
        """Remove the release. Like Helm, this keeps the CustomResourceDefinition."""
        self._helm("uninstall", self.name, "--ignore-not-found")

    def _helm(self, *args: str, stdin: dict[str, Any] | None = None) -> None:
        self._output(self._run(*args, stdin=stdin))

    def _output(self, result: subprocess.CompletedProcess[str]) -> str:
        """Helm's output. Raises SetupError if it failed."""
        if result.returncode:
            verb = result.args[1]
            raise SetupError(f"helm {verb} {self.name} in namespace {self.namespace}: {result.stderr.strip()}")
        return result.stdout

    def _run(self, *args: str, stdin: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        flags = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        text = (
            json.dumps(stdin) if stdin else None
        )  # values contain credentials, which must not appear on a command line or in a file
        return subprocess.run([_helm(), *args, *flags], input=text, capture_output=True, text=True, check=False)


def values(
    connection_string: str, queue: str, operator_image: str, trainer_image: str, host_address: str | None = None
) -> dict[str, Any]:
    """Chart values for the demo. Messages may name only the demo's storage account and callback receiver.

    Args:
        connection_string: Storage account of the images and the model.
        queue: Queue that the operator reads.
        operator_image: Image reference for the cluster.
        trainer_image: Image reference for the cluster.
        host_address: Address where the demo receives callbacks over http, or None.
    """
    repository, tag = split_image(operator_image)
    return {
        "image": {"repository": repository, "tag": tag},
        "azure": {"connectionString": connection_string},
        "queues": [{"kind": "storage", "name": queue}],
        "trainer": {"image": trainer_image, "workRequest": "1Gi"},
        "outgoing": outgoing(connection_string, host_address),
    }


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def split_image(image: str) -> tuple[str, str]:
    """Repository and tag of an image reference; the tag defaults to `latest`."""
    repository, colon, tag = image.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (image, "latest")


def _helm() -> str:
    helm = shutil.which("helm", path=f"{os.environ['PATH']}:{STATE / 'bin'}")  # STATE has the local cluster's helm
    if helm is None:
        raise SetupError("helm is not installed; put it in a folder of PATH")
    return helm
