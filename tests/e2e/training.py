"""Create TrainingJobs without a message, and wait for what kubectl prints of them."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from demo.kubectl import KubectlError, Manifest
from tests.support.cluster_harness import TRAINING_SECONDS, ClusterHarness
from vott_guard.redaction import webhook_origin

HELLO = "hello-world"
CALLBACK_FIELDS = {"progress", "epoch_current", "epoch_total", "step_current", "step_total", "classification_loss"}
"""The fields of the first VoTT-train's callbacks."""
PYTHON = "/opt/venv/bin/python"
RUN_WRAPPER = "import os; exec(os.environ['WRAPPER'])"
WRAPPER = (Path(__file__).parent / "pod_programs" / "trainer_wrapper.py").read_text()
# All run at once on two cores. WORKING is for those that really train.
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "2Gi"}}
WORKING = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}
ENDS = ("Complete", "Failed")


@dataclass(frozen=True)
class Training:
    """A TrainingJob of the harness."""

    harness: ClusterHarness
    name: str

    def status_row(self) -> dict[str, str]:
        """The row of `kubectl get tj -o wide`, by column."""
        header, line = self.harness.kubectl("get", "tj", self.name, "-o", "wide").splitlines()
        columns = [(match.group(), match.start()) for match in re.finditer(r"\S+", header)]
        ends = [start for _, start in columns[1:]] + [len(line)]
        return {name: line[start:end].strip() for (name, start), end in zip(columns, ends, strict=True)}

    def wait_status(self, status: str, reason: str = "", seconds: float = TRAINING_SECONDS) -> None:
        """Wait until `kubectl get tj -o wide` shows status and reason; fail at once on another terminal status."""

        def probe() -> bool:
            row = self.status_row()
            reached = row["STATUS"] == status and reason in ("", row["REASON"])
            assert reached or row["STATUS"] not in ENDS, (
                f"{row}\n{self.harness.kubectl.logs(self.name)}\n{self.description()}"
            )
            return reached

        self.harness.wait(f"STATUS {status}, REASON {reason or '(any)'} of {self.name}", probe, seconds)

    def description(self) -> str:
        """Output of `kubectl describe tj`, with single spaces."""
        return " ".join(self.harness.kubectl("describe", "tj", self.name).split())

    def wait_description(self, *texts: str) -> str:
        """Wait until `kubectl describe tj` contains all texts, because Events come after the status; return its output."""

        def probe() -> str | None:
            description = self.description()
            return None if [text for text in texts if text not in description] else description

        return self.harness.wait(f"{texts} in the description of {self.name}", probe, 60)

    def uid(self, kind: str) -> str:
        """Uid of the object of this kind with the TrainingJob's name; "" if there is none."""
        with suppress(KubectlError):
            return str(self.harness.kubectl.get(kind, self.name)["metadata"]["uid"])
        return ""

    def pods(self) -> list[Manifest]:
        """Its pods, oldest first, without those being deleted."""
        pods = self.harness.kubectl.list("pods", f"vott.dev/trainingjob={self.name}")
        remaining = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(remaining, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def patch_spec(self, **spec: object) -> None:
        """Patch fields of the spec."""
        self.harness.kubectl("patch", "tj", self.name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def wait_deleted(self) -> None:
        """Wait until the TrainingJob and all its dependent objects are deleted."""

        def probe() -> bool:
            kinds = "trainingjobs,jobs,services"
            names = self.harness.kubectl("get", kinds, "-o", "jsonpath={.items[*].metadata.name}").split()
            return self.name not in names and not self.harness.kubectl.list("pods", f"vott.dev/trainingjob={self.name}")

        self.harness.wait(f"the deletion of {self.name} and its dependents", probe)


@dataclass(frozen=True)
class HeldTraining(Training):
    """A TrainingJob whose pods run a wrapper that waits for flag `go` before it trains."""

    container: str = field(kw_only=True)

    def wait_held(self) -> Manifest:
        """Wait until its pod waits and handles SIGTERM; return the pod."""
        self.harness.wait(f"the pod of {self.name}", lambda: self.has_flag("waiting"))
        return self.pods()[-1]

    def release(self) -> None:
        """Let its current and later pods train."""
        self.harness.storage.upload(self.container, "go", b"yes")

    def has_flag(self, name: str) -> bool:
        """Whether a pod has set the flag."""
        with suppress(ResourceNotFoundError):
            return bool(self.harness.storage.download(self.container, name))
        return False


def create_training(
    harness: ClusterHarness,
    name: str,
    *,
    program: str = "",
    container: Manifest | None = None,
    template: Manifest | None = None,
    trainer: Manifest | None = None,
    model_url: str = "",
    **spec: Any,
) -> Training:
    """Create a TrainingJob that needs no GPU and few resources.

    Args:
        program: Python source that the pods run instead of the trainer.
        container: more fields of the pod template's container.
        template: fields of the pod template's spec.
        trainer: fields of spec.trainer.
        model_url: destination of the model; by default a new container.
        spec: more fields of the spec.
    """
    command = {"command": [PYTHON, "-c", program]} if program else {}
    template = _with_container(template or {}, command | (container or {}))
    urls = {"annotations": harness.annotations, "model": model_url or harness.model_url()}
    spec |= {field: {"url": url.partition("?")[0]} for field, url in urls.items()} | {"urlSecretRef": {"name": name}}
    spec |= {"podTemplate": {"spec": template}} if template else {}
    spec = {"plugin": HELLO} | spec | {"trainer": {"gpus": 0, "resources": SMALL} | (trainer or {})}
    callback = {"callback": spec["callback"]["url"]} if "callback" in spec else {}
    spec |= {field: {"url": webhook_origin(url)} for field, url in callback.items()}
    manifest = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}
    _apply(harness, _secret(name, urls | callback), manifest)
    return Training(harness, name)


def create_held_training(
    harness: ClusterHarness, name: str, step: str = "wait", *, container: Manifest | None = None, **fields: Any
) -> HeldTraining:
    """Create a TrainingJob whose pods run this step of the wrapper before they train; other arguments as in `create_training`."""
    flags, secret = harness.container(), f"{name}-wrapper"
    _apply(harness, _secret(secret, {"FLAGS_URL": harness.storage.container_url(flags), "WRAPPER": WRAPPER}))
    command = {"command": [PYTHON, "-c", RUN_WRAPPER, step], "envFrom": [{"secretRef": {"name": secret}}]}
    create_training(harness, name, container=(container or {}) | command, **fields)
    return HeldTraining(harness, name, container=flags)


def _secret(name: str, texts: dict[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts}


def _apply(harness: ClusterHarness, *manifests: Manifest) -> None:
    harness.kubectl.apply({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _with_container(template: Manifest, container: Manifest) -> Manifest:
    """The template with these fields of the trainer's container, beside its other containers."""
    if not container:
        return template
    return template | {"containers": [{"name": "trainer"} | container, *template.get("containers", [])]}
