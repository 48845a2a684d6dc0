"""The Helm chart, installed with Helm itself."""

import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo.errors import SetupError
from demo.kubectl import Kubectl, KubectlError
from demo.storage import Storage
from localcluster.paths import STATE

CHART = Path(__file__).parent.parent / "charts" / "vott-train"
CRD = CHART / "crds" / "trainingjobs.yaml"
RELEASE = "vott-train"
TIMEOUT = "180s"
MARK = "vottTrainDemo"
"""Of the chart's `global` values, which no template reads: the digest of all other values that a release was installed with here."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Release:
    """One release of the chart in a cluster."""

    kubeconfig: str
    namespace: str
    name: str = RELEASE

    def install(self, values: dict[str, Any]) -> None:
        """Install or upgrade, and wait until the operator is ready.

        Raises `SetupError` with what Helm said, or where a release of this name is there that was not installed by this.
        """
        self._check_own()
        kubectl = Kubectl(self.kubeconfig, self.namespace)
        try:  # Helm never changes a CustomResourceDefinition that is there
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
            stdin=values | {"global": {MARK: _digest(values)}},
        )

    def _check_own(self) -> None:
        """An upgrade takes the values given and forgets those of before: nobody's settings may be lost to a demonstration."""
        found = self._run("get", "values", self.name, "--output=json")
        if found.returncode and "release: not found" in found.stderr:
            return
        there = json.loads(self._output(found) or "null") or {}  # null: none were given
        mark = (there.pop("global", None) or {}).get(MARK)
        if mark != _digest(there):
            raise SetupError(
                f"Helm's release {self.name} in namespace {self.namespace} is not the demo's, or was changed since: the demo would replace"
                f" its settings. Set NAMESPACE to another namespace; or, if nobody needs this operator any more, remove it with"
                f" `helm uninstall {self.name} --namespace {self.namespace}`."
            )

    def _ensure_namespace(self, kubectl: Kubectl) -> None:
        """Make a namespace that admits only pods without privileges; what is said of one that is there stays as it is."""
        if not kubectl("get", "namespace", self.namespace, "--ignore-not-found", "--output=name"):
            metadata = {"name": self.namespace, "labels": RESTRICTED}
            kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def uninstall(self) -> None:
        """Remove the release; the CustomResourceDefinition stays, as Helm does it."""
        self._helm("uninstall", self.name, "--ignore-not-found")

    def _helm(self, *args: str, stdin: dict[str, Any] | None = None) -> None:
        self._output(self._run(*args, stdin=stdin))

    def _output(self, result: subprocess.CompletedProcess[str]) -> str:
        """What Helm printed. Raises `SetupError` where it failed."""
        if result.returncode:
            verb = result.args[1]
            raise SetupError(f"helm {verb} of {self.name} in namespace {self.namespace}: {result.stderr.strip()}")
        return result.stdout

    def _run(self, *args: str, stdin: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        where = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        text = json.dumps(stdin) if stdin else None  # credentials: on no command line, in no file
        return subprocess.run([_helm(), *args, *where], input=text, capture_output=True, text=True, check=False)


def values(
    connection_string: str, queue: str, operator_image: str, trainer_image: str, host_address: str | None = None
) -> dict[str, Any]:
    """The chart's values for a demonstration: messages may name its own storage account and the demo itself, and nothing else.

    Args:
        connection_string: of the account that the images lie in, and the model is to.
        queue: where the operator takes messages from.
        operator_image: as the cluster pulls it.
        trainer_image: likewise.
        host_address: where the demo receives callbacks, over http; None: it receives none.
    """
    repository, tag = split_image(operator_image)
    return {
        "image": {"repository": repository, "tag": tag},
        "azure": {"connectionString": connection_string},
        "queues": [{"kind": "storage", "name": queue}],
        "trainer": {"image": trainer_image},
        "outgoing": _outgoing(Storage(connection_string).blob_service_url, host_address),
    }


def _outgoing(account: str, host_address: str | None) -> dict[str, Any]:
    places = sorted(filter(None, {urlsplit(account).hostname, host_address}))
    networks = {place: network for place in places if (network := _network(place))}
    return {
        "allowHttp": bool(host_address) or account.startswith("http:"),
        "publicAddresses": False,
        "hosts": [place for place in places if place not in networks],
        "networks": list(networks.values()),
    }


def _network(place: str) -> str | None:
    """An address as a network of one; None for a name."""
    try:
        return str(ipaddress.ip_network(place))
    except ValueError:
        return None


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


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
