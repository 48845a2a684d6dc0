"""Only Secrets contain credentials: every URL has a marker, trainings end in every way, and everything that was written is searched.

Operator and trainer are local processes, with a real API server and etcd; tests/e2e/test_secret_leaks.py does the same on a real node.
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
        print("arguments:", run.links.annotations, run.links.model, run.links.status)
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
    """Creates messages."""

    harness: OperatorHarness
    server: HttpServer
    storage: Storage
    unused_url: str
    """A URL where no server listens."""
    markers: SecretMarkers = field(default_factory=SecretMarkers)

    def signed(self, name: str, url: str, parameter: str = "sig") -> str:
        """The URL with a new marker in its query."""
        return f"{url}?{parameter}={self.markers.new(name)}&se=2030"

    def callback(self, name: str, url: str) -> str:
        """The URL with new markers in its path and in its query."""
        return self.signed(f"{name}: status", f"{url}/{self.markers.new(f'{name}: path of status')}", "token")

    def message(self, name: str, images: int = 2, **fields: Any) -> Object:
        """A valid message with markers in all its URLs; `fields` replace its fields."""
        urls = {
            "annotations": (self.server.serve(f"/{name}.csv", self.lines(name, images)), "sig"),
            "model": (f"{self.server.url}/{name}.tgz", "X-Amz-Signature"),
        }
        signed = {field: self.signed(f"{name}: {field}", *url) for field, url in urls.items() if field not in fields}
        callback = {} if "status" in fields else {"status": self.callback(name, f"{self.server.url}/{name}")}
        return signed | callback | {"plugin": "hello-world"} | fields

    def lines(self, name: str, images: int = 2, suffix: str = "") -> bytes:
        """Annotations with a marker in each image URL; some images are missing, broken, refused or duplicate."""
        annotated = []
        for number in range(images):
            content, shapes = image_with_shapes(number)
            url = self.server.serve(f"/{name}-{number}.png", content)
            annotated += [(url, shape) for shape in shapes]
        broken = self.server.serve(f"/{name}-broken.png", b"no image")
        shape = annotated[0][1]
        others = [f"{self.server.url}/missing.png", broken, f"{METADATA}/{name}.png", f"{self.unused_url}/{name}.png"]
        annotated += [(url, shape) for url in (annotated[0][0], *others)]
        signed = [(self.signed(f"{name}: image {number}", url), s) for number, (url, s) in enumerate(annotated)]
        return "\n".join(f"{url},{s.x},{s.y},{s.side}{suffix},{s.side},{s.label}" for url, s in signed).encode()


Messages = dict[str, tuple[Object | str, str]]
"""Messages by name, each with the reason that it must fail for, or ""."""


def _messages(scene: Scene) -> Messages:
    return _valid(scene) | _invalid_for_operator(scene) | _invalid_for_trainer(scene)


def _valid(scene: Scene) -> Messages:
    scene.storage.create_container("markers")
    container = scene.storage.container_url("markers")
    scene.markers.add("container: SAS", parse_qs(urlsplit(container).query)["sig"][0])
    unreachable = scene.callback("unreachable callback", f"{scene.unused_url}/callback")
    refused = scene.callback("refused callback", METADATA)
    unsigned = f"{scene.server.url}/hooks/{scene.markers.new('webhook: path of status')}"
    detection = {"plugin": "detection", "parameters": {"epochs": 1, "imageSize": 64, "initialWeights": "none"}}
    return {
        "trained": (scene.message("trained", images=24, **detection), ""),
        "container": (scene.message("container", model=container, parameters=QUICK), ""),
        "webhook": (scene.message("webhook", parameters=QUICK, status=unsigned), ""),
        "unreachable-callback": (scene.message("unreachable-callback", parameters=QUICK, status=unreachable), ""),
        "refused-callback": (scene.message("refused-callback", parameters=QUICK, status=refused), ""),
    }


def _invalid_for_operator(scene: Scene) -> Messages:
    with_user = f"https://user:{scene.markers.new('user: annotations')}@images.example/a.csv"
    ftp = scene.signed("ftp: model", "ftp://store.example/m")
    fragment = f"https://images.example/a.csv#{scene.markers.new('fragment')}"
    truncated = json.dumps(scene.message("truncated"))[:-5]
    url = scene.signed("parameter: images", "https://images.example/folder/")
    metadata = scene.signed("metadata: annotations", METADATA)
    return {
        "user": (scene.message("user", annotations=with_user), "InvalidMessage"),
        "ftp": (scene.message("ftp", model=ftp), "InvalidMessage"),
        "fragment": (scene.message("fragment", annotations=fragment), "InvalidMessage"),
        "truncated": (truncated, "NotJSON"),
        "parameter": (scene.message("parameter", parameters={"imagesUrl": url}), "InvalidMessage"),
        **{
            f"parameter-{number}": (scene.message(f"parameter-{number}", parameters=parameters), "InvalidMessage")
            for number, parameters in enumerate(
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


def _invalid_for_trainer(scene: Scene) -> Messages:
    message, server = scene.message, scene.server
    missing = scene.signed("missing: annotations", f"{server.url}/nothing.csv")
    unreachable = scene.signed("unreachable: annotations", f"{scene.unused_url}/a.csv")
    redirect = Answer(302, headers={"Location": scene.signed("redirect", "http://localhost:1/x")})
    server.always["/redirect.csv"] = redirect
    broken = server.serve(
        "/bad-lines.csv", b"image,xmin,ymin,xmax,ymax,label\n" + scene.lines("broken lines", suffix="oops")
    )
    weights = scene.signed("weights: initialWeights", f"{server.url}/no-weights.tgz")
    detection = {"epochs": 1, "imageSize": 64}
    messages: Messages = {
        "missing": (message("missing", annotations=missing), "AnnotationsUnreachable"),
        "unreachable": (message("unreachable", annotations=unreachable), "TemporaryFailure"),
        "redirect": (message("redirect", annotations=f"{server.url}/redirect.csv"), "AddressRefused"),
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
    # S3 repeats the signature in its error response.
    signature = parse_qs(urlsplit(messages["upload"][0]["model"]).query)["X-Amz-Signature"][0]  # type: ignore[index]
    body = f"<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>{signature}</SignatureProvided></Error>"
    server.always["/upload.tgz"] = Answer(403, body.encode())
    return messages


@dataclass(frozen=True)
class WrittenData:
    """Everything that the system has written, and the outcomes of the messages."""

    markers: SecretMarkers
    contents: dict[str, list[bytes]]
    """Written contents by location."""
    secrets: list[bytes]
    outcomes: dict[str, str]
    """Reason that each message failed for, or ""."""
    expected_outcomes: dict[str, str]


@pytest.fixture(scope="module")
def written_data(
    control_plane: ControlPlane, azurite: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WrittenData]:
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
        outcomes = _outcomes(harness, sent)
        expected = {name: reason for name, (_, reason) in messages.items()}
        yield WrittenData(scene.markers, _contents(scene, ended, operator, etcd), _secrets(etcd), outcomes, expected)


def _run_pods(harness: OperatorHarness, folder: Path, messages: int) -> list[PodResult]:
    """Run all pods as they appear, until each message is rejected or its TrainingJob has ended."""
    runs: dict[str, Any] = {}
    with ThreadPoolExecutor(3) as pool:

        def probe() -> bool:
            for pod in harness.pods():
                if (name := pod["metadata"]["name"]) not in runs:
                    (pod_folder := folder / name).mkdir()
                    runs[name] = pool.submit(run_pod, harness, name, pod_folder)
            phases = [job["status"].get("phase") for job in harness.trainingjobs() if "status" in job]
            return sum(phase in ("Complete", "Failed") for phase in phases) + len(harness.poison()) >= messages

        wait_until("the end of all messages", probe, seconds=600, dump=harness.diagnostics)
        return [run.result() for run in runs.values()]


def _outcomes(harness: OperatorHarness, sent: dict[str, str]) -> dict[str, str]:
    """Reason that each message failed for, or ""; its callback need not be delivered yet."""
    reasons = {item["messageId"]: item["reason"] for item in harness.poison()}
    for job in harness.trainingjobs():
        failed = condition(job, "Failed")
        reasons[job["metadata"]["annotations"]["vott.dev/message-id"]] = failed["reason"] if failed else ""
    return {name: reasons[message] for name, message in sent.items()}


# ------------------------------------------------------------------------------------------------ what was written


def _contents(scene: Scene, ended: list[PodResult], operator: OperatorProcess, etcd: str) -> dict[str, list[bytes]]:
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


LOCATIONS = [
    "etcd outside of Secrets",
    "the operator's log",
    "the trainers' output",
    "termination messages",
    "callbacks",
    "models",
    "the poison queue beside the message",
    "the health page",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_credential_is_in(location: str, written_data: WrittenData) -> None:
    contents = written_data.contents[location]
    assert any(contents), "nothing was written there, so the search proves nothing"
    assert written_data.markers.found_in(*contents) == []


def test_every_location_is_searched(written_data: WrittenData) -> None:
    assert list(written_data.contents) == LOCATIONS


def test_the_search_finds_the_credentials_in_secrets(written_data: WrittenData) -> None:
    found = set(written_data.markers.found_in(*written_data.secrets))
    assert {"trained: annotations", "trained: model", "trained: status", "container: SAS"} <= found
    assert {"weights: initialWeights", "missing: annotations", "webhook: path of status"} <= found


def test_every_message_has_the_expected_outcome(written_data: WrittenData) -> None:
    assert written_data.outcomes == written_data.expected_outcomes
