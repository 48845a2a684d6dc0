"""Harness of the operator's integration tests: the chart on a control plane without nodes, operator processes, a simulated kubelet."""

import base64
import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import requests
import yaml
from azure.storage.queue import QueueClient

from demo.kubectl import Kubectl
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from localcluster.go_programs import binaries
from tests.support.operator_process import ROOT, OperatorProcess
from tests.support.secret_mount import mount_secret
from tests.support.waiting import wait_until
from vott_guard.timestamps import timestamp

__all__ = ["LOCAL", "RELEASE", "ROOT", "OperatorHarness", "condition"]

RELEASE = "vott-train"
LOCAL = {"allowHttp": True, "networks": ["127.0.0.0/8"]}
"""Value of `outgoing` that permits requests to the tests' own servers."""
Object = dict[str, Any]


@dataclass
class OperatorHarness:
    """A namespace with the chart installed. `operator()` starts an operator process with the permissions of its ServiceAccount."""

    control_plane: ControlPlane
    azurite: Azurite
    name: str
    settings: Object = field(default_factory=dict)
    """Chart values that override the defaults below. The queues' target namespaces are created."""

    def __post_init__(self) -> None:
        self.kubectl = Kubectl(str(self.control_plane.kubeconfig), self.name)
        self.log = Path(self.control_plane.kubeconfig).parent / f"{self.name}.log"
        """The log of all operators started with `operator`."""
        self._processes: list[OperatorProcess] = []

    def __enter__(self) -> Self:
        self.kubectl("create", "namespace", self.name)
        self.install(self.settings)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.sigkill()
        # The admission policy is cluster-wide; the namespace is removed with the control plane.
        self._helm("uninstall")

    def install(self, settings: Object) -> None:
        """Install the chart, or upgrade it to other values. `settings` override the defaults."""
        values: Object = {
            "azure": {"connectionString": self.azurite.connection_string},
            "queues": [{"kind": "storage", "name": self.name}],
            "outgoing": LOCAL,
            "callbacks": {"timeoutSeconds": 10},  # a progress post that times out is not repeated
            "trainer": {"image": "trainer:1"},
        } | settings
        for queue in values["queues"]:
            if target := queue.get("targetNamespace"):
                self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": target}})
        self._helm("upgrade", "--install", str(ROOT / "charts" / "vott-train"), "--values=-", values=values)

    def _helm(self, verb: str, *args: str, values: Object | None = None) -> None:
        where = [f"--kubeconfig={self.control_plane.kubeconfig}", f"--namespace={self.name}"]
        command = [str(binaries() / "helm"), verb, RELEASE, *args, *where]
        result = subprocess.run(command, input=json.dumps(values), text=True, check=False, capture_output=True)
        assert result.returncode == 0, result.stderr

    # ------------------------------------------------------------------------------------------------ the operator

    def operator(self, **environment: str) -> OperatorProcess:
        """Start an operator with the chart's ConfigMap and Secrets, and wait until it is healthy.

        Args:
            environment: more variables; `AZURE_*` variables override the mounted Secrets.
        """
        process = self.start_operator(self.log, **environment)
        process.wait_healthy()
        return process

    def start_operator(self, log: Path, **environment: str) -> OperatorProcess:
        """Start an operator that writes to `log`, without waiting."""
        number = len(self._processes)
        config = self._config(self.folder / f"operator-{number}", environment)
        account = self.control_plane.user_kubeconfig(
            f"system:serviceaccount:{self.name}:{RELEASE}", ["system:serviceaccounts", "system:authenticated"]
        )
        variables = {"KUBECONFIG": str(account), "VOTT_TRAIN_CONFIG": str(config), "POD_NAME": f"{RELEASE}-{number}"}
        process = OperatorProcess(variables | environment, log)
        self._processes.append(process)
        return process

    @property
    def folder(self) -> Path:
        """Folder of the operators' settings and mounted Secrets."""
        return self.log.with_suffix("")

    def _config(self, pod: Path, environment: Mapping[str, str]) -> Path:
        """Write the settings of an operator's pod and mount its Secrets; return the settings file."""
        settings = yaml.safe_load(self.kubectl.get("configmap", f"{RELEASE}-settings")["data"]["settings.yaml"])
        for queue in settings["queues"]:
            if "credentialsDir" in queue:
                secret = Path(queue["credentialsDir"]).name
                overlay = {name: value for name, value in environment.items() if name.startswith("AZURE_")}
                queue["credentialsDir"] = str(mount_secret(pod / secret, self._secret(secret) | overlay))
        if "signingDir" in settings["callbacks"]:
            secret = self._signing_secret()
            settings["callbacks"]["signingDir"] = str(mount_secret(pod / secret, self._secret(secret)))
        config = pod / "settings.yaml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(yaml.safe_dump(settings))
        return config

    def _signing_secret(self) -> str:
        """Name of the Secret that the chart mounts as `callbacks.signingDir`."""
        volumes = self.kubectl.get("deployment", RELEASE)["spec"]["template"]["spec"]["volumes"]
        return str(next(item["secret"]["secretName"] for item in volumes if item["name"] == "signing"))

    def _secret(self, name: str) -> dict[str, str]:
        data = self.kubectl.get("secret", name)["data"]
        return {key: self.decoded(value).decode() for key, value in data.items()}

    def change_secret(self, name: str, **variables: str) -> None:
        """Replace a Secret's data, and update the mounted files as the kubelet does."""
        self.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": variables})
        for mounted in self.folder.glob(f"*/{name}"):
            mount_secret(mounted, variables)

    # --------------------------------------------------------------------------------------------------- the queue

    def queue(self, suffix: str = "", name: str = "") -> QueueClient:
        """Client of the queue (by default the harness's), or with suffix "-poison" of its poison queue; created if missing."""
        client = QueueClient.from_connection_string(self.azurite.connection_string, (name or self.name) + suffix)
        with suppress(Exception):
            client.create_queue()
        return client

    def send(self, message: Object | str, queue: str = "") -> str:
        """Send a message and return its id."""
        text = message if isinstance(message, str) else json.dumps(message)
        return str(self.queue(name=queue).send_message(text).id)

    def waiting_messages(self) -> int:
        """Number of unsettled messages, including locked ones."""
        return self.queue().get_queue_properties().approximate_message_count or 0

    def poison(self) -> list[Object]:
        """Messages in the poison queue."""
        return [json.loads(item.content) for item in self.queue("-poison").peek_messages(32)]

    # ------------------------------------------------------------------------------------------------- the cluster

    def create_trainingjob(self, *names: str, **spec: Any) -> None:
        """Create a TrainingJob of each name without a message, as a user does."""
        least = {"annotations": {"url": "https://host/a.csv"}, "model": {"url": "https://store/models"}}
        kind = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob"}
        items = [kind | {"metadata": {"name": name}, "spec": least | spec} for name in names]
        self.kubectl.apply({"apiVersion": "v1", "kind": "List", "items": items})

    def trainingjobs(self, namespace: str = "") -> list[Object]:
        """TrainingJobs of a namespace, by default the harness's."""
        return Kubectl(self.kubectl.kubeconfig, namespace or self.name).list("trainingjobs")

    def wait_phase(self, phase: str, name: str | None = None, seconds: float = 60) -> Object:
        """Wait until a TrainingJob (of that name, if given) is in the phase; return it."""

        def probe() -> Object | None:
            items = [item for item in self.trainingjobs() if name in (None, item["metadata"]["name"])]
            return next((item for item in items if item["status"].get("phase") == phase), None)

        return wait_until(f"a TrainingJob in phase {phase}", probe, seconds=seconds, dump=self.diagnostics)

    def wait_condition(self, type_: str, status: str = "True", seconds: float = 60) -> Object:
        """Wait until a TrainingJob's condition has the status; return the condition."""

        def probe() -> Object | None:
            found = [condition(item, type_) for item in self.trainingjobs()]
            return next((item for item in found if item and item["status"] == status), None)

        return wait_until(f"condition {type_}={status}", probe, seconds=seconds, dump=self.diagnostics)

    def wait_pod(self, number: int = 1) -> str:
        """Wait until `number` pods exist and the newest is pending; return its name."""

        def probe() -> str | None:
            pods = sorted(self.pods(), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
            live = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Pending"]
            return str(live[-1]["metadata"]["name"]) if len(pods) >= number and live else None

        return wait_until(f"pod number {number}", probe, seconds=60, dump=self.diagnostics)

    def pods(self) -> list[Object]:
        """Pods of all TrainingJobs."""
        return self.kubectl.list("pods", "vott.dev/trainingjob")

    def diagnostics(self) -> str:
        """The trainings' objects and the operators' log, for a failure message."""
        objects = self.kubectl(
            "get", "trainingjobs,jobs,pods", "--selector=app.kubernetes.io/managed-by=vott-train", "--output=yaml"
        )
        return f"{objects}\n{self.log.read_text()}"

    # ------------------------------------------------------------------------- the kubelet and the trainer

    def run_pod(self, name: str) -> None:
        """Report the pod's container as running, as the kubelet does."""
        self._pod_status(name, "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}})

    def bind_pod(self, name: str, node: str) -> None:
        """Give the pod its node, as the scheduler does. The node has no kubelet."""
        self.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        path = f"/api/v1/namespaces/{self.name}/pods/{name}/binding"
        self.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))

    def warn_about_pod(self, name: str, reason: str, message: str) -> None:
        """Record an Event about the pod, as the kubelet does."""
        uid, now = self.kubectl.get("pod", name)["metadata"]["uid"], timestamp(datetime.now(UTC))
        involved = {"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": self.name, "uid": uid}
        event = {"type": "Warning", "reason": reason, "message": message, "firstTimestamp": now, "lastTimestamp": now}
        kind = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.{reason.lower()}"}}
        self.kubectl.apply(kind | event | {"count": 1, "involvedObject": involved, "source": {"component": "kubelet"}})

    def reject_pod(self, name: str) -> None:
        """Reject the pod at its admission, as the kubelet does without a healthy device: no container has a status."""
        message = "Pod was rejected: Allocate failed due to no healthy devices present"
        self._patch_pod(name, {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message})

    def evict_pod(self, name: str) -> None:
        """End the pod as the kubelet's eviction manager does on a full disk."""
        now = timestamp(datetime.now(UTC))
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        message = "The node was low on resource: ephemeral-storage."
        status = {"phase": "Failed", "reason": "Evicted", "message": message}
        self._patch_pod(name, status | {"conditions": [condition | {"lastTransitionTime": now}]})

    def end_pod(self, name: str, exit_code: int, message: str = "", reason: str = "") -> None:
        """Report the pod's container as terminated, as the kubelet does."""
        terminated = {
            "exitCode": exit_code,
            "message": message,
            "reason": reason or ("Error" if exit_code else "Completed"),
        }
        self._pod_status(
            name, "Running", {"terminated": terminated}
        )  # the kubelet reports the container before the phase
        self._pod_status(name, "Failed" if exit_code else "Succeeded", {"terminated": terminated})

    def end_trainer(self, name: str, exit_code: int, sidecar: str) -> None:
        """Report the trainer's container as terminated and the sidecar's as running, as the kubelet does."""
        started = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        ended = {"terminated": {"exitCode": exit_code, "finishedAt": timestamp(datetime.now(UTC))}}
        containers = [_container_status("trainer", ended), _container_status(sidecar, started)]
        self._patch_pod(name, {"phase": "Running", "containerStatuses": containers})

    def _pod_status(self, name: str, phase: str, state: Object) -> None:
        container = _container_status("trainer", state)
        self._patch_pod(name, {"phase": phase, "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [container]})

    def _patch_pod(self, name: str, status: Object) -> None:
        patch = json.dumps({"status": status})
        self.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "--patch", patch)

    def report(self, pod: str, trainingjob: str, status: Object, namespace: str = "") -> requests.Response:
        """Apply `status` server-side as the trainer in that pod does, with the pod's bound token and field manager vott-trainer."""
        namespace = namespace or self.name
        token = self.pod_token(pod, namespace)
        body = {
            "apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob",
            "metadata": {"name": trainingjob, "namespace": namespace}, "status": status,
        }  # fmt: skip
        return requests.patch(
            f"{self.control_plane.server}/apis/vott.dev/v1alpha1/namespaces/{namespace}/trainingjobs/{trainingjob}/status",
            params={"fieldManager": "vott-trainer", "force": "true"},
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/apply-patch+yaml"},
            data=json.dumps(body), verify=str(self.authority()), timeout=30,
        )  # fmt: skip

    def pod_token(self, pod: str, namespace: str = "") -> str:
        """Create a token of the trainer's ServiceAccount bound to the pod, as the kubelet requests it."""
        kubectl = Kubectl(self.kubectl.kubeconfig, namespace or self.name)
        uid = kubectl.get("pod", pod)["metadata"]["uid"]
        bound = ["--bound-object-kind=Pod", f"--bound-object-name={pod}", f"--bound-object-uid={uid}"]
        return kubectl("create", "token", f"{RELEASE}-trainer", *bound).strip()

    def authority(self) -> Path:
        """File with the API server's CA certificate."""
        cluster = yaml.safe_load(self.control_plane.kubeconfig.read_text())["clusters"][0]["cluster"]
        file = self.log.with_suffix(".crt")
        file.write_bytes(self.decoded(cluster["certificate-authority-data"]))
        return file

    @staticmethod
    def decoded(data: str) -> bytes:
        """Decode a kubeconfig's `…-data` field or a Secret's value."""
        return base64.b64decode(data)


def _container_status(name: str, state: Object) -> Object:
    return {"name": name, "image": f"{name}:1", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def condition(trainingjob: Object, type_: str) -> Object | None:
    """Condition of this type, or None."""
    conditions = trainingjob.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == type_), None)
