"""Run a trainer's pod as a local process, doing the kubelet's work: mount its volumes, pass its environment, report its end."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.operator_harness import ROOT, OperatorHarness

Object = dict[str, Any]
# The token is read from another folder: the path in a pod is global to this machine.
PROGRAM = """
import dataclasses, os, pathlib
from vott_trainer import __main__ as trainer
from vott_trainer.progress.trainingjob_status import TrainingJobStatus as status
folder = pathlib.Path(os.environ["ACCOUNT"])
in_cluster = status.in_cluster
status.in_cluster = lambda *where: dataclasses.replace(in_cluster(*where), credentials=folder)
trainer.command()
"""
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PATHS = (ROOT / "trainer-image", ROOT / "guard")


@dataclass(frozen=True)
class PodResult:
    """Exit code, output and termination message of a pod's container."""

    code: int
    output: bytes
    message: bytes


def run_pod(harness: OperatorHarness, name: str, folder: Path) -> PodResult:
    """Run a pod of the Job controller to completion and report its end to the API server."""
    pod = harness.kubectl.get("pod", name)
    folders = _mount(harness, pod, folder)
    harness.run_pod(name)
    log = folder / "termination-log"
    log.touch()
    container = pod["spec"]["containers"][0]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(_local(argument.replace("$$", "$"), folders) for argument in container["args"])],
        env=_environment(harness, container, folders) | {"VOTT_TERMINATION_LOG": str(log)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
    )  # fmt: skip
    harness.end_pod(name, done.returncode, log.read_text())
    return PodResult(done.returncode, done.stdout, log.read_bytes())


def _environment(harness: OperatorHarness, container: Object, folders: dict[str, Path]) -> dict[str, str]:
    server = urlsplit(harness.control_plane.server)
    variables = {item["name"]: _local(item["value"], folders) for item in container["env"] if "value" in item}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "OMP_NUM_THREADS": "1",
        "KUBERNETES_SERVICE_HOST": str(server.hostname),
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "ACCOUNT": str(folders[ACCOUNT]),
        **variables,
    }


def _mount(harness: OperatorHarness, pod: Object, folder: Path) -> dict[str, Path]:
    """Create the volumes' folders; return them by mount path."""
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    folders = {}
    for volume in pod["spec"]["volumes"]:
        target = folder / "volumes" / volume["name"]
        target.mkdir(parents=True)
        folders[mounts[volume["name"]]] = target
        for file, content in _content(harness, volume).items():
            (target / file).write_bytes(content)
    (folders[ACCOUNT] / "token").write_text(harness.pod_token(pod["metadata"]["name"]))
    (folders[ACCOUNT] / "ca.crt").write_bytes(harness.authority().read_bytes())
    return folders


def _content(harness: OperatorHarness, volume: Object) -> dict[str, bytes]:
    if secret := volume.get("secret"):
        data = harness.kubectl.get("secret", secret["secretName"])["data"]
        chosen = {item["key"]: item["path"] for item in secret.get("items", [])} or {key: key for key in data}
        return {path: harness.decoded(data[key]) for key, path in chosen.items()}
    if config_map := volume.get("configMap"):
        data = harness.kubectl.get("configmap", config_map["name"])["data"]
        return {key: text.encode() for key, text in data.items()}
    return {}


def _local(text: str, folders: dict[str, Path]) -> str:
    """Translate a path in the pod (or `@path`) to its local folder; other text is unchanged."""
    at, path = ("@", text[1:]) if text.startswith("@") else ("", text)
    for mount_path, target in folders.items():
        if path == mount_path or path.startswith(f"{mount_path}/"):
            return f"{at}{target}{path.removeprefix(mount_path)}"
    return text
