"""A trainer's pod as a process of this host: what the kubelet would do, from the mounted Secrets to the termination message."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.operator_harness import RELEASE, ROOT, OperatorHarness

Object = dict[str, Any]
# Only where the token lies is another folder: that of a pod is the whole machine's.
PROGRAM = """
import dataclasses, os, pathlib
from vott_trainer import __main__ as trainer, trainingjob
status, folder = trainingjob.TrainingJobStatus, pathlib.Path(os.environ["ACCOUNT"])
in_cluster = status.in_cluster
status.in_cluster = lambda *where: dataclasses.replace(in_cluster(*where), credentials=folder)
trainer.command()
"""
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PATHS = (ROOT / "trainer-image", ROOT / "guard")


@dataclass(frozen=True)
class Ended:
    """A pod's end: exit code, what its container printed, and its termination message."""

    code: int
    output: bytes
    message: bytes


def run_pod(harness: OperatorHarness, name: str, folder: Path) -> Ended:
    """Run a pod that the Job controller made, to its end, and tell the API server how it ended."""
    pod = harness.kubectl.get("pod", name)
    places = _mount(harness, pod, folder)
    harness.run_pod(name)
    log = folder / "termination-log"
    log.touch()
    container = pod["spec"]["containers"][0]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(_here(argument.replace("$$", "$"), places) for argument in container["args"])],
        env=_environment(harness, container, places) | {"VOTT_TERMINATION_LOG": str(log)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
    )  # fmt: skip
    harness.end_pod(name, done.returncode, log.read_text())
    return Ended(done.returncode, done.stdout, log.read_bytes())


def _environment(harness: OperatorHarness, container: Object, places: dict[str, Path]) -> dict[str, str]:
    server = urlsplit(harness.control_plane.server)
    given = {item["name"]: _here(item["value"], places) for item in container["env"] if "value" in item}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "OMP_NUM_THREADS": "1",
        "KUBERNETES_SERVICE_HOST": str(server.hostname),
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "ACCOUNT": str(places[ACCOUNT]),
        **given,
    }


def _mount(harness: OperatorHarness, pod: Object, folder: Path) -> dict[str, Path]:
    """Make the folders of the volumes; return them by where the pod finds them."""
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    places = {}
    for volume in pod["spec"]["volumes"]:
        place = folder / "volumes" / volume["name"]
        place.mkdir(parents=True)
        places[mounts[volume["name"]]] = place
        for file, content in _content(harness, volume).items():
            (place / file).write_bytes(content)
    (places[ACCOUNT] / "token").write_text(_token(harness, pod))
    (places[ACCOUNT] / "ca.crt").write_bytes(harness.authority().read_bytes())
    return places


def _content(harness: OperatorHarness, volume: Object) -> dict[str, bytes]:
    if secret := volume.get("secret"):
        data = harness.kubectl.get("secret", secret["secretName"])["data"]
        chosen = {item["key"]: item["path"] for item in secret.get("items", [])} or {key: key for key in data}
        return {path: harness.decoded(data[key]) for key, path in chosen.items()}
    if config_map := volume.get("configMap"):
        data = harness.kubectl.get("configmap", config_map["name"])["data"]
        return {key: text.encode() for key, text in data.items()}
    return {}


def _token(harness: OperatorHarness, pod: Object) -> str:
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    bound = ["--bound-object-kind=Pod", f"--bound-object-name={name}", f"--bound-object-uid={uid}"]
    return harness.kubectl("create", "token", f"{RELEASE}-trainer", *bound).strip()


def _here(text: str, places: dict[str, Path]) -> str:
    """A path of the pod as it is on this host; all else as it is."""
    at, path = ("@", text[1:]) if text.startswith("@") else ("", text)
    for inside, place in places.items():
        if path == inside or path.startswith(f"{inside}/"):
            return f"{at}{place}{path.removeprefix(inside)}"
    return text
