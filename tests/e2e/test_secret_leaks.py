"""Only Secrets contain credentials: run trainings with several outcomes on a real node, then search everything that was written."""

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml

from localcluster.settings import PORTS
from tests.e2e import message_cases
from tests.e2e.training import Training, create_training
from tests.support.cluster_harness import ClusterHarness, Submission
from tests.support.etcd import history
from tests.support.secret_markers import SecretMarkers

ROOT = Path(__file__).parents[2]
ETCD = f"http://127.0.0.1:{PORTS.etcd}"
SECRETS = "/registry/secrets/"
ACCOUNT_KEY = re.compile(r"AccountKey=([^;]+)")
PLUGINS = {
    "echo-all.py": """
import os, sys
for stream in (sys.stdout, sys.stderr):
    print(sys.argv, dict(os.environ), file=stream)
sys.exit(1)
""",
    "crash-loudly.py": """
from vott_trainer.plugin_api import Parameters
class Plugin:
    parameters = Parameters
    def train(self, run, parameters):
        print(run.links.annotations, run.links.model, run.links.status)
        raise RuntimeError(f"no luck with {run.links.annotations} and {run.links.model}")
    def predict(self, model_dir, image):
        return []
""",
}
LOCATIONS = [
    "etcd outside of Secrets",
    "the operators' logs",
    "the trainers' logs",
    "callbacks",
    "the poison queue",
    "the model",
]


@dataclass(frozen=True)
class Search:
    """Credentials of this session's messages so far, and the written contents by location."""

    markers: SecretMarkers
    written: dict[str, list[bytes]]


@pytest.fixture(scope="module")
def search(harness: ClusterHarness) -> Search:
    container = harness.container()
    sent = [
        harness.send(parameters={"epochs": 1}, model=harness.storage.container_url(container)),
        message_cases.refused_upload(harness),
        message_cases.forbidden_annotations(harness),
        message_cases.no_usable_image(harness),
    ]
    rejected = message_cases.ftp_annotations(harness)
    programs = _programs(harness)
    for submission in sent:
        submission.wait_ended()
    rejected.wait_rejected()
    for program in programs:
        program.wait_status("Failed", "TrainerError")
    return Search(
        _markers(harness), _written(harness, [*sent, rejected], harness.storage.download(container, "model.tgz"))
    )


def _programs(harness: ClusterHarness) -> list[Training]:
    """Create trainings with plugins that print everything they know."""
    plugins = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "our-plugins"}, "data": PLUGINS}
    # server-side, because other tests add plugins to the same ConfigMap
    harness.kubectl("apply", "--server-side", "--field-manager=secrets", "--filename=-", stdin=json.dumps(plugins))
    names = [file.removesuffix(".py") for file in PLUGINS]
    return [create_training(harness, f"leaks-by-{name}", plugin=name, backoffLimit=0) for name in names]


def _markers(harness: ClusterHarness) -> SecretMarkers:
    """Signatures of all URLs in Secrets and of the images' URLs, the paths of callbacks in Secrets, and the storage account's key."""
    secrets = [secret.get("data") or {} for secret in harness.kubectl.list("secrets")]
    texts = [base64.b64decode(value).decode(errors="replace") for data in secrets for value in data.values()]
    images = {line.partition(",")[0] for line in requests.get(harness.annotations, timeout=30).text.splitlines()}
    urls = [text for text in [*texts, *images] if text.startswith("http")]
    signatures = [value for url in urls for value in parse_qs(urlsplit(url).query).get("sig", [])]
    # Those of the test's receivers are random; a sample's is a word that stands elsewhere, too.
    callbacks = [urlsplit(url).path for data in secrets for url in _callbacks(data)]
    paths = [path.removeprefix("/callback/") for path in callbacks if path.startswith("/callback/")]
    assert paths
    keys = [key for text in texts for key in ACCOUNT_KEY.findall(text)]
    markers = SecretMarkers()
    for number, credential in enumerate(dict.fromkeys([*signatures, *paths, *keys])):
        markers.add(f"number {number}", credential)
    assert len(markers.names) > len(images) + len(PLUGINS)
    return markers


def _callbacks(secret: dict[str, str]) -> list[str]:
    return [base64.b64decode(value).decode() for key, value in secret.items() if key == "callback"]


def _written(harness: ClusterHarness, sent: list[Submission], model: bytes) -> dict[str, list[bytes]]:
    public_objects = _objects_with_urls_in_the_spec()
    objects = [
        f"{key}\n".encode() + value
        for key, value in history(ETCD)
        if harness.name in key and SECRETS not in key and not public_objects.fullmatch(key.rpartition("/")[2])
    ]
    poison = [json.loads(item.content) for item in harness.poison_queue.peek_messages(max_messages=32)]
    return {
        "etcd outside of Secrets": objects,
        "the operators' logs": [
            _logs(harness, f"app.kubernetes.io/name=vott-train,app.kubernetes.io/instance={harness.name}")
        ],
        "the trainers' logs": [_logs(harness, "vott.dev/trainingjob")],
        "callbacks": [json.dumps(submission.receiver.posts).encode() for submission in sent],
        "the poison queue": [
            json.dumps({**item, "body": ""}).encode() for item in poison
        ],  # without the original message
        "the model": [model],
    }


def _objects_with_urls_in_the_spec() -> re.Pattern[str]:
    """Matches the names of samples with full URLs in the spec, and of their dependent objects."""
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "manifests/samples").glob("*.yaml")]
    objects = [item for text in texts for item in yaml.safe_load_all(text) if item["kind"] == "TrainingJob"]
    names = [item["metadata"]["name"] for item in objects if "urlSecretRef" not in item["spec"]]
    assert names
    return re.compile(rf"({'|'.join(map(re.escape, names))})([-.].*)?")


def _logs(harness: ClusterHarness, selector: str) -> bytes:
    limits = ("--tail=-1", "--max-log-requests=100", "--ignore-errors", "--all-containers")
    return harness.kubectl("logs", f"--selector={selector}", *limits).encode()


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_credential_is_in(location: str, search: Search) -> None:
    assert any(search.written[location]), "nothing was written there, so the search proves nothing"
    assert search.markers.found_in(*search.written[location]) == []


def test_the_search_finds_the_credentials_in_secrets(search: Search, harness: ClusterHarness) -> None:
    secrets = [value for key, value in history(ETCD) if key.startswith(f"{SECRETS}{harness.name}/")]
    assert len(search.markers.found_in(*secrets)) > len(PLUGINS)
