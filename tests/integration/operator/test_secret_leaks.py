"""No credential is seen anywhere but in the Secrets: each URL carries a marker, trainings end in every way, and all that was written is searched.

The operator and the trainer are processes, on a real API server with etcd; tests/e2e/test_secret_leaks.py does the same on a real node.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from demo.storage import Storage
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from localcluster.ports import free_ports
from tests.support.annotated_images import image_with_shapes
from tests.support.etcd import history
from tests.support.http_server import Answer, HttpServer
from tests.support.operator_harness import LOCAL, Object, OperatorHarness, condition
from tests.support.operator_process import OperatorProcess
from tests.support.pod_process import PodResult, run_pod
from tests.support.secret_markers import SecretMarkers
from tests.support.waiting import wait_until

METADATA = "https://169.254.169.254/metadata"
PLUGINS = {
    "crash.py": """
from vott_trainer.plugin_api import Parameters
class Plugin:
    parameters = Parameters
    def train(self, run, parameters):
        print("given:", run.links.annotations, run.links.model, run.links.status)
        raise RuntimeError(f"no luck with {run.links.annotations} and {run.links.model}")
    def predict(self, model_dir, image):
        return []
""",
    "echo.py": """
import os, sys
for stream in (sys.stdout, sys.stderr):
    print(sys.argv, file=stream)
    print(dict(os.environ), file=stream)
    print(*sys.argv, sep="\\n", file=stream)
sys.exit(1)
""",
}
SETTINGS = {
    "logLevel": "DEBUG",
    "outgoing": LOCAL,
    "plugins": {"default": "hello-world", "allowed": ["hello-world", "detection", "crash", "echo"]},
    "trainer": {"image": "trainer:1", "plugins": {"configMap": "our-plugins"}},
    "trainingJob": {"backoffLimit": 0, "trainer": {"gpus": 0}},
}
QUICK = {"stepSeconds": 0}


@dataclass
class Scene:
    """Where messages come from and lead to. Each message's callback is a path of the server, `/NAME`."""

    harness: OperatorHarness
    server: HttpServer
    storage: Storage
    nobody: str
    """Where nobody listens."""
    markers: SecretMarkers = field(default_factory=SecretMarkers)

    def signed(self, name: str, url: str, parameter: str = "sig") -> str:
        """The URL with a marker of that name in its query."""
        return f"{url}?{parameter}={self.markers.new(name)}&se=2030"

    def message(self, name: str, images: int = 2, **fields: Any) -> Object:
        """A good message whose URLs are all signed; `fields` replace its parts."""
        urls = {
            "annotations": (self.server.serve(f"/{name}.csv", self.lines(name, images)), "sig"),
            "model": (f"{self.server.url}/{name}.tgz", "X-Amz-Signature"),
            "status": (f"{self.server.url}/{name}", "token"),
        }
        signed = {field: self.signed(f"{name}: {field}", *url) for field, url in urls.items() if field not in fields}
        return signed | {"plugin": "hello-world"} | fields

    def lines(self, name: str, images: int = 2, suffix: str = "") -> bytes:
        """Annotations of images, the URL of each with a marker; some images are missing, broken, refused or there twice."""
        found = []
        for number in range(images):
            content, shapes = image_with_shapes(number)
            url = self.server.serve(f"/{name}-{number}.png", content)
            found += [(url, shape) for shape in shapes]
        broken = self.server.serve(f"/{name}-broken.png", b"no image")
        shape = found[0][1]
        others = [f"{self.server.url}/missing.png", broken, f"{METADATA}/{name}.png", f"{self.nobody}/{name}.png"]
        found += [(url, shape) for url in (found[0][0], *others)]
        signed = [(self.signed(f"{name}: image {number}", url), s) for number, (url, s) in enumerate(found)]
        return "\n".join(f"{url},{s.x},{s.y},{s.side}{suffix},{s.side},{s.label}" for url, s in signed).encode()


Messages = dict[str, tuple[Object | str, str]]
"""Each by its name, with the reason that it fails for; empty for none."""


def _messages(scene: Scene) -> Messages:
    return _good(scene) | _bad_for_the_operator(scene) | _bad_for_the_trainer(scene)


def _good(scene: Scene) -> Messages:
    scene.storage.create_container("markers")
    container = scene.storage.container_url("markers")
    scene.markers.add("container: SAS", parse_qs(urlsplit(container).query)["sig"][0])
    gone = scene.signed("unheard: callback", f"{scene.nobody}/gone", "token")
    refused = scene.signed("refused callback: callback", METADATA, "token")
    detection = {"plugin": "detection", "parameters": {"epochs": 1, "imageSize": 64, "initialWeights": "none"}}
    return {
        "trained": (scene.message("trained", images=24, **detection), ""),
        "container": (scene.message("container", model=container, parameters=QUICK), ""),
        "unheard": (scene.message("unheard", parameters=QUICK, status=gone), ""),
        "refused-callback": (scene.message("refused-callback", parameters=QUICK, status=refused), ""),
    }


def _bad_for_the_operator(scene: Scene) -> Messages:
    named = f"https://user:{scene.markers.new('user: annotations')}@images.example/a.csv"
    ftp = scene.signed("ftp: model", "ftp://store.example/m")
    cut_off = json.dumps(scene.message("cut-off"))[:-5]
    url = scene.signed("parameter: images", "https://images.example/folder/")
    metadata = scene.signed("metadata: annotations", METADATA)
    return {
        "user": (scene.message("user", annotations=named), "InvalidMessage"),
        "ftp": (scene.message("ftp", model=ftp), "InvalidMessage"),
        "cut-off": (cut_off, "NotJSON"),
        "parameter": (scene.message("parameter", parameters={"imagesUrl": url}), "InvalidMessage"),
        **{
            f"parameter-{number}": (scene.message(f"parameter-{number}", parameters=given), "InvalidMessage")
            for number, given in enumerate(
                [
                    {"datasetUrl": scene.signed("parameter: own", "https://images.example/set")},
                    {"initial_weights": scene.signed("parameter: misspelt", "https://images.example/w")},
                    {"initialWeights": [scene.signed("parameter: in a list", "https://images.example/w")]},
                    {scene.signed("parameter: name", "https://images.example/w"): 1},
                ]
            )
        },
        "plugin": (scene.message("plugin", plugin="mine-bitcoins"), "PluginNotAllowed"),
        "metadata": (scene.message("metadata", annotations=metadata), "AddressRefused"),
    }


def _bad_for_the_trainer(scene: Scene) -> Messages:
    message, server = scene.message, scene.server
    missing = scene.signed("missing: annotations", f"{server.url}/nothing.csv") + f"#{scene.markers.new('fragment')}"
    nobody = scene.signed("nobody: annotations", f"{scene.nobody}/a.csv")
    elsewhere = Answer(302, headers={"Location": scene.signed("redirect", "http://localhost:1/x")})
    server.always["/elsewhere.csv"] = elsewhere
    broken = server.serve(
        "/bad-lines.csv", b"image,xmin,ymin,xmax,ymax,label\n" + scene.lines("broken lines", suffix="oops")
    )
    weights = scene.signed("weights: initialWeights", f"{server.url}/no-weights.tgz")
    detection = {"epochs": 1, "imageSize": 64}
    messages: Messages = {
        "missing": (message("missing", annotations=missing), "AnnotationsUnreachable"),
        "nobody": (message("nobody", annotations=nobody), "TemporaryFailure"),
        "elsewhere": (message("elsewhere", annotations=f"{server.url}/elsewhere.csv"), "AddressRefused"),
        "broken": (message("broken", annotations=broken), "BadAnnotations"),
        "weights": (
            message("weights", images=24, plugin="detection", parameters=detection | {"initialWeights": weights}),
            "InvalidParameters",
        ),
        "parameters": (message("parameters", parameters={"epochs": "ten"}), "InvalidParameters"),
        "crash": (message("crash", plugin="crash"), "TrainerError"),
        "echo": (message("echo", plugin="echo"), "TrainerError"),
        "upload": (message("upload", parameters=QUICK), "UploadRefused"),
    }
    # As S3 does it: the answer shows the signature again.
    signature = parse_qs(urlsplit(messages["upload"][0]["model"]).query)["X-Amz-Signature"][0]  # type: ignore[index]
    body = f"<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>{signature}</SignatureProvided></Error>"
    server.always["/upload.tgz"] = Answer(403, body.encode())
    return messages


@dataclass(frozen=True)
class Aftermath:
    """All that the system has written: by place, the contents."""

    markers: SecretMarkers
    written: dict[str, list[bytes]]
    secrets: list[bytes]
    said: dict[str, str]
    """How each message ended: a reason, or nothing for a good end."""
    meant: dict[str, str]


@pytest.fixture(scope="module")
def aftermath(
    control_plane: ControlPlane, azurite: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    with HttpServer() as server, OperatorHarness(control_plane, azurite, "markers", SETTINGS) as harness:
        (closed,) = free_ports(1)
        scene = Scene(harness, server, Storage(azurite.connection_string), f"http://127.0.0.1:{closed}")
        harness.kubectl.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "our-plugins"}, "data": PLUGINS}
        )
        messages = _messages(scene)
        operator = harness.operator()
        sent = {name: harness.send(message) for name, (message, _) in messages.items()}
        ended = _run_pods(harness, tmp_path_factory.mktemp("pods"), len(messages))
        etcd = control_plane._parts.etcd().address
        said = _outcomes(harness, sent)
        meant = {name: reason for name, (_, reason) in messages.items()}
        yield Aftermath(scene.markers, _written(scene, ended, operator, etcd), _secrets(etcd), said, meant)


def _run_pods(harness: OperatorHarness, folder: Path, messages: int) -> list[PodResult]:
    """Run all pods as they come, until each message has a TrainingJob that ended or is rejected."""
    known: dict[str, Any] = {}
    with ThreadPoolExecutor(3) as pool:

        def probe() -> bool:
            for pod in harness.pods():
                if (name := pod["metadata"]["name"]) not in known:
                    (place := folder / name).mkdir()
                    known[name] = pool.submit(run_pod, harness, name, place)
            phases = [job["status"].get("phase") for job in harness.trainingjobs() if "status" in job]
            return sum(phase in ("Complete", "Failed") for phase in phases) + len(harness.poison()) >= messages

        wait_until("the end of all messages", probe, seconds=600, dump=harness.diagnostics)
        return [run.result() for run in known.values()]


def _outcomes(harness: OperatorHarness, sent: dict[str, str]) -> dict[str, str]:
    """Why each message failed; those whose callback is still being tried count as well."""
    reasons = {item["messageId"]: item["reason"] for item in harness.poison()}
    for job in harness.trainingjobs():
        failed = condition(job, "Failed")
        reasons[job["metadata"]["annotations"]["vott.dev/message-id"]] = failed["reason"] if failed else ""
    return {name: reasons[message] for name, message in sent.items()}


# ------------------------------------------------------------------------------------------------ what was written


def _written(scene: Scene, ended: list[PodResult], operator: OperatorProcess, etcd: str) -> dict[str, list[bytes]]:
    harness, server = scene.harness, scene.server
    poison = [{key: value for key, value in item.items() if key != "body"} for item in harness.poison()]
    model = scene.storage.download("markers", "model.tgz")
    return {
        "etcd outside of Secrets": [f"{key}\n".encode() + value for key, value in history(etcd) if not _is_secret(key)],
        "the operator's log": [harness.log.read_bytes()],
        "the trainers' output": [end.output for end in ended],
        "termination messages": [end.message for end in ended],
        "callbacks": [request.body for request in server.requests if request.method == "POST"],
        "models": [model, *(request.body for request in server.requests if request.method == "PUT")],
        "the poison queue beside the message": [json.dumps(poison).encode()],
        "the health page": [requests.get(operator.health, timeout=30).content],
    }


def _secrets(etcd: str) -> list[bytes]:
    return [value for key, value in history(etcd) if _is_secret(key)]


def _is_secret(key: str) -> bool:
    return key.startswith("/registry/secrets/")


PLACES = [
    "etcd outside of Secrets",
    "the operator's log",
    "the trainers' output",
    "termination messages",
    "callbacks",
    "models",
    "the poison queue beside the message",
    "the health page",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_credential_is_found_in(place: str, aftermath: Aftermath) -> None:
    written = aftermath.written[place]
    assert any(written), "nothing was written there, so nothing is shown"
    assert aftermath.markers.found_in(*written) == []


def test_everything_that_was_written_is_searched(aftermath: Aftermath) -> None:
    assert list(aftermath.written) == PLACES


def test_the_search_finds_the_credentials_where_they_may_be(aftermath: Aftermath) -> None:
    found = set(aftermath.markers.found_in(*aftermath.secrets))
    assert {"trained: annotations", "trained: model", "trained: status", "container: SAS"} <= found
    assert {"weights: initialWeights", "missing: annotations", "fragment"} <= found


def test_every_message_ended_as_it_was_meant_to(aftermath: Aftermath) -> None:
    assert aftermath.said == aftermath.meant
