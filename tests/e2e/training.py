"""A TrainingJob written by hand, and what kubectl prints of it."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from demo.kubectl import KubectlError, Manifest
from tests.support.cluster_harness import ClusterHarness

HELLO = "hello-world"
PYTHON = "/opt/venv/bin/python"
RUN_WRAPPER = "import os; exec(os.environ['WRAPPER'])"
WRAPPER = (Path(__file__).parent / "pod_programs" / "trainer_wrapper.py").read_text()
# Two cores carry all of them at once. Those that work get as much of them as the trainings of messages do.
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "2Gi"}}
WORKING = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}
ENDS = ("Complete", "Failed")


@dataclass(frozen=True)
class Training:
    """One TrainingJob of the harness."""

    harness: ClusterHarness
    name: str

    def status_row(self) -> dict[str, str]:
        """What `kubectl get tj -o wide` prints, by column."""
        header, line = self.harness.kubectl("get", "tj", self.name, "-o", "wide").splitlines()
        columns = [(found.group(), found.start()) for found in re.finditer(r"\S+", header)]
        ends = [start for _, start in columns[1:]] + [len(line)]
        return {name: line[start:end].strip() for (name, start), end in zip(columns, ends, strict=True)}

    def wait_status(self, status: str, reason: str = "", seconds: float = 480) -> None:
        """Wait until `kubectl get tj -o wide` prints these; another end than this one is an error at once."""

        def probe() -> bool:
            row = self.status_row()
            reached = row["STATUS"] == status and reason in ("", row["REASON"])
            assert reached or row["STATUS"] not in ENDS, (
                f"{row}\n{self.harness.kubectl.logs(self.name)}\n{self.description()}"
            )
            return reached

        self.harness.wait(f"STATUS {status}, REASON {reason or '(any)'} of {self.name}", probe, seconds)

    def description(self) -> str:
        """What `kubectl describe tj` prints, with single spaces."""
        return " ".join(self.harness.kubectl("describe", "tj", self.name).split())

    def wait_description(self, *words: str) -> str:
        """Wait until `kubectl describe tj` prints all of these, and return all of it. Events come a moment after the status."""

        def probe() -> str | None:
            text = self.description()
            return None if [word for word in words if word not in text] else text

        return self.harness.wait(f"{words} in the description of {self.name}", probe, 60)

    def uid(self, kind: str) -> str:
        """The uid of the object of that kind and the TrainingJob's name; empty where there is none."""
        with suppress(KubectlError):
            return str(self.harness.kubectl.get(kind, self.name)["metadata"]["uid"])
        return ""

    def pods(self) -> list[Manifest]:
        """Its pods, the oldest first; not those that are going away."""
        pods = self.harness.kubectl.list("pods", f"vott.dev/trainingjob={self.name}")
        staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(staying, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def patch_spec(self, **spec: object) -> None:
        """Change fields of the spec."""
        self.harness.kubectl("patch", "tj", self.name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def wait_deleted(self) -> None:
        """Wait until neither the TrainingJob nor anything that was made for it is there."""

        def probe() -> bool:
            kinds = "trainingjobs,jobs,services"
            names = self.harness.kubectl("get", kinds, "-o", "jsonpath={.items[*].metadata.name}").split()
            return self.name not in names and not self.harness.kubectl.list("pods", f"vott.dev/trainingjob={self.name}")

        self.harness.wait(f"the end of all that was made for {self.name}", probe)


@dataclass(frozen=True)
class HeldTraining(Training):
    """A TrainingJob whose pods wait for a word before they train."""

    container: str = field(kw_only=True)

    def wait_held(self) -> Manifest:
        """The pod, once it waits and obeys SIGTERM."""
        self.harness.wait(f"the pod of {self.name}", lambda: self.has_flag("waiting"))
        return self.pods()[-1]

    def release(self) -> None:
        """Let pods train, this one and those to come."""
        self.harness.storage.upload(self.container, "go", b"yes")

    def has_flag(self, word: str) -> bool:
        """Whether a pod said that word."""
        with suppress(ResourceNotFoundError):
            return bool(self.harness.storage.download(self.container, word))
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
    """Make a TrainingJob that needs no GPU and little else.

    Args:
        program: Python text that the pods run in place of the trainer.
        container: of the pod template, beside the program.
        template: of the pod template's spec.
        trainer: of spec.trainer.
        model_url: where the model goes; a fresh container where none is given.
        spec: further fields.
    """
    command = {"command": [PYTHON, "-c", program]} if program else {}
    template = _with_container(template or {}, command | (container or {}))
    urls = {"annotations": harness.annotations, "model": model_url or harness.model_url()}
    spec |= {field: {"url": url.partition("?")[0]} for field, url in urls.items()} | {"urlSecretRef": {"name": name}}
    spec |= {"podTemplate": {"spec": template}} if template else {}
    spec = {"plugin": HELLO} | spec | {"trainer": {"gpus": 0, "resources": SMALL} | (trainer or {})}
    callback = {"callback": spec["callback"]["url"]} if "callback" in spec else {}
    manifest = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}
    _apply(harness, _secret(name, urls | callback), manifest)
    return Training(harness, name)


def create_held_training(
    harness: ClusterHarness, name: str, part: str = "wait", *, container: Manifest | None = None, **fields: Any
) -> HeldTraining:
    """Make one whose pods do that part of the stand-in before they train; the rest as in `make`."""
    place, secret = harness.container(), f"{name}-wrapper"
    _apply(harness, _secret(secret, {"FLAGS_URL": harness.storage.container_url(place), "WRAPPER": WRAPPER}))
    command = {"command": [PYTHON, "-c", RUN_WRAPPER, part], "envFrom": [{"secretRef": {"name": secret}}]}
    create_training(harness, name, container=(container or {}) | command, **fields)
    return HeldTraining(harness, name, container=place)


def _secret(name: str, texts: dict[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts}


def _apply(harness: ClusterHarness, *manifests: Manifest) -> None:
    harness.kubectl.apply({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _with_container(template: Manifest, container: Manifest) -> Manifest:
    return template | ({"containers": [{"name": "trainer"} | container]} if container else {})
