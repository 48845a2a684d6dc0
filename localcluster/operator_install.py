"""Installs the operator into the cluster with Helm, from this checkout's chart."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from localcluster import settings
from localcluster.cached import content_key, files_key
from localcluster.cluster import Access
from localcluster.errors import CommandError, LocalClusterError
from localcluster.files import write_if_changed
from localcluster.kubectl import kubectl, kubectl_json, kubectl_path
from localcluster.paths import CHECKOUT, STATE
from localcluster.progress import Step, step

_CHART = CHECKOUT / "charts" / "vott-train"
_CRDS = CHECKOUT / "manifests" / "crd.yaml"
_RELEASE = "vott-train"
_TIMEOUT = "120s"
_HOST = f"{settings.HOST_ADDRESS}/32"
_DNS = {  # CoreDNS is no pod here
    "to": [{"ipBlock": {"cidr": _HOST}}],
    "ports": [{"protocol": protocol, "port": settings.DNS_PORT} for protocol in ("UDP", "TCP")],
}
_AZURITE = {"protocol": "TCP", "port": settings.BLOB_PORT, "endPort": settings.TABLE_PORT}
_CALLBACKS = {"protocol": "TCP", "port": 32768, "endPort": 65535}
NETWORK_VALUES = {
    "outgoing": {"allowHttp": True, "publicAddresses": False, "networks": [_HOST]},
    "networkPolicy": {
        "operatorEgress": [_DNS],
        "trainerEgress": [_DNS],
        "trainerPorts": [_AZURITE, _CALLBACKS],  # the kubelet and others are at the same address
    },
}
"""The chart's values for this cluster's network."""
_INSTALLED = STATE / "installed"  # the key of what was installed last


@dataclass(frozen=True)
class Installation:
    """What Helm is to install where."""

    access: Access
    helm: Path
    images: dict[str, str]

    def ensure(self) -> None:
        """Install or upgrade the operator, and wait until it is ready; quick when nothing has changed.

        Raises:
            LocalClusterError: the chart is wrong, or the operator does not become ready.
        """
        ensure_namespace(self.access.kubeconfig)
        values = json.dumps(self._values(), indent=1)
        key = content_key(
            values, files_key([path for path in _CHART.rglob("*") if path.is_file()], _CHART), _CRDS.read_bytes()
        )
        if _INSTALLED.exists() and _INSTALLED.read_text() == key and self._is_ready():
            return
        with step("Install the operator", remedy=self._remedy()) as this:
            self._install(this, values)
        _INSTALLED.write_text(key)

    def _install(self, this: Step, values: str) -> None:
        remove_interrupted_release(self.access.kubeconfig)
        file = write_if_changed(STATE / "config" / "values.json", values)
        # Helm installs a chart's CRDs once and never upgrades them
        this.run(
            [kubectl_path(), *self._flags(), "apply", "--server-side", "--force-conflicts", "-f", _CRDS],
            env=self._environment(),
        )
        command: list[str | Path] = [
            self.helm,
            *self._flags(),
            "upgrade",
            "--install",
            _RELEASE,
            _CHART,
            "--values",
            file,
            "--wait",
            "--timeout",
            _TIMEOUT,
        ]
        try:
            this.run([*command, "--force-conflicts"], env=self._environment())
        except CommandError as error:
            raise CommandError(f"{error}\n{self._diagnosis()}") from error

    def _values(self) -> dict[str, object]:
        repository, _, tag = self.images["operator"].rpartition(":")
        return {
            "image": {"repository": repository, "tag": tag},
            "trainer": {
                "image": self.images["trainer"],
                # Two pretended GPUs on a small machine: both trainings shall find room.
                "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
                # Containers of the local Azurite need no SAS.
                "modelStore": {"containers": ["*"]},
            },
            "queues": [{"kind": "storage", "name": settings.QUEUE}],
            "azure": {"connectionString": self.access.storage_connection_string},
            **NETWORK_VALUES,
        }

    def _is_ready(self) -> bool:
        query = "jsonpath={range .items[*]}{.status.readyReplicas}/{.spec.replicas} {end}"
        ready = kubectl(self.access.kubeconfig, "get", "deployments", "-n", settings.NAMESPACE, "-o", query).split()
        return bool(ready) and all(pair.partition("/")[0] == pair.partition("/")[2] for pair in ready)

    def _diagnosis(self) -> str:
        """What its pods say."""
        logs = [
            "logs",
            "-n",
            settings.NAMESPACE,
            "-l",
            f"app.kubernetes.io/instance={_RELEASE}",
            "--tail=20",
            "--all-containers",
        ]
        reports = []
        for arguments in (["get", "pods", "-n", settings.NAMESPACE], logs):
            try:
                reports.append(kubectl(self.access.kubeconfig, *arguments).strip())
            except LocalClusterError as error:
                reports.append(str(error))
        return "\n".join(reports)

    def _remedy(self) -> str:
        return f"Look at: kubectl --kubeconfig {self.access.kubeconfig} describe pods -n {settings.NAMESPACE}"

    def _flags(self) -> list[str]:
        return [f"--kubeconfig={self.access.kubeconfig}", f"--namespace={settings.NAMESPACE}"]

    def _environment(self) -> dict[str, str]:
        folders = {name: str(STATE / "helm" / name) for name in ("cache", "config", "data")}
        helm = {f"HELM_{name.upper()}_HOME": folder for name, folder in folders.items()}
        return {**os.environ, **helm, "NO_PROXY": "*"}


def remove_interrupted_release(kubeconfig: Path) -> None:
    """Remove Helm's note of a release that a killed Helm left unfinished: no other Helm would touch the release any more."""
    states = "pending-install, pending-upgrade, pending-rollback"
    selector = f"owner=helm,name={_RELEASE},status in ({states})"
    kubectl(kubeconfig, "delete", "secrets", f"--namespace={settings.NAMESPACE}", f"--selector={selector}")


def ensure_namespace(kubeconfig: Path) -> None:
    """Make the namespace that operator and trainings live in; it admits only pods without privileges."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": settings.NAMESPACE, "labels": labels}
    kubectl_json(kubeconfig, "apply", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
