"""Install the operator into the cluster with Helm, from this checkout's chart."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from localcluster import settings
from localcluster.build_cache import content_key, files_key
from localcluster.cluster import Access
from localcluster.errors import CommandError, LocalClusterError
from localcluster.files import write_if_changed
from localcluster.kubectl import kubectl, kubectl_json, kubectl_path
from localcluster.paths import CHECKOUT, STATE
from localcluster.progress import Step, step

_CHART = CHECKOUT / "charts" / "vott-train"
_CRDS = CHECKOUT / "manifests" / "crd.yaml"
_RELEASE = "vott-train"
_MODEL_STORE = "model-store"
_TIMEOUT = "120s"
_HOST = f"{settings.HOST_ADDRESS}/32"
_DNS = {  # CoreDNS runs on the host
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
        "trainerPorts": [_AZURITE, _CALLBACKS],  # the kubelet and others have the same address
    },
}
"""Chart values for this cluster's network."""
_INSTALLED = STATE / "installed"  # content key of the last installation


@dataclass(frozen=True)
class Installation:
    """A Helm release of the operator in the cluster."""

    access: Access
    helm: Path
    images: dict[str, str]

    def ensure(self) -> None:
        """Install or upgrade the operator if anything changed, and wait until it is ready.

        Raises:
            LocalClusterError: The chart is invalid, or the operator doesn't become ready.
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
        # Helm never upgrades a chart's CRDs
        this.run(
            [kubectl_path(), *self._flags(), "apply", "--server-side", "--force-conflicts", "-f", _CRDS],
            env=self._environment(),
        )
        kubectl_json(self.access.kubeconfig, "apply", self._model_store())
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
                # Small enough for two TrainingJobs on a small machine with two simulated GPUs.
                "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
                "workRequest": "1Gi",
                # The local Azurite's containers need no SAS.
                "modelStore": {"containers": ["*"], "secretName": _MODEL_STORE},
            },
            "queues": [{"kind": "storage", "name": settings.QUEUE}],
            "azure": {"connectionString": self.access.storage_connection_string},
            **NETWORK_VALUES,
        }

    def _model_store(self) -> dict[str, object]:
        """The Secret with the credentials of the training pods."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _MODEL_STORE, "namespace": settings.NAMESPACE},
            "stringData": {"AZURE_STORAGE_CONNECTION_STRING": self.access.storage_connection_string},
        }

    def _is_ready(self) -> bool:
        query = "jsonpath={range .items[*]}{.status.readyReplicas}/{.spec.replicas} {end}"
        ready = kubectl(self.access.kubeconfig, "get", "deployments", "-n", settings.NAMESPACE, "-o", query).split()
        return bool(ready) and all(pair.partition("/")[0] == pair.partition("/")[2] for pair in ready)

    def _diagnosis(self) -> str:
        """State and logs of the operator's pods."""
        logs = [
            "logs",
            "-n",
            settings.NAMESPACE,
            "-l",
            f"app.kubernetes.io/instance={_RELEASE}",
            "--tail=20",
            "--all-containers",
        ]
        outputs = []
        for arguments in (["get", "pods", "-n", settings.NAMESPACE], logs):
            try:
                outputs.append(kubectl(self.access.kubeconfig, *arguments).strip())
            except LocalClusterError as error:
                outputs.append(str(error))
        return "\n".join(outputs)

    def _remedy(self) -> str:
        return f"Run: kubectl --kubeconfig {self.access.kubeconfig} describe pods -n {settings.NAMESPACE}"

    def _flags(self) -> list[str]:
        return [f"--kubeconfig={self.access.kubeconfig}", f"--namespace={settings.NAMESPACE}"]

    def _environment(self) -> dict[str, str]:
        folders = {name: str(STATE / "helm" / name) for name in ("cache", "config", "data")}
        helm = {f"HELM_{name.upper()}_HOME": folder for name, folder in folders.items()}
        return {**os.environ, **helm, "NO_PROXY": "*"}


def remove_interrupted_release(kubeconfig: Path) -> None:
    """Remove Helm's record of a release that a killed Helm left pending, which blocks any later upgrade."""
    states = "pending-install, pending-upgrade, pending-rollback"
    selector = f"owner=helm,name={_RELEASE},status in ({states})"
    kubectl(kubeconfig, "delete", "secrets", f"--namespace={settings.NAMESPACE}", f"--selector={selector}")


def ensure_namespace(kubeconfig: Path) -> None:
    """Create the namespace of operator and TrainingJobs, with Pod Security level "restricted"."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": settings.NAMESPACE, "labels": labels}
    kubectl_json(kubeconfig, "apply", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
