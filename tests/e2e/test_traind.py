"""The first VoTT-train's README, followed word for word with the trainer image, ends in a model.

The pod is what the README's `docker run … IMAGE traind.py` starts: its three variables for a storage queue, and the queue `training` of an account.
The account is an Azurite of its own. Reaching it needs more than an account in Azure does:

- hostAliases: ACCOUNT.queue.core.windows.net is Azurite's address, where it serves https on port 443;
- SSL_CERT_FILE for the daemon and REQUESTS_CA_BUNDLE for the trainer: the authority of Azurite's certificate;
- VOTT_ALLOWED_NETWORKS and VOTT_ALLOW_HTTP: its address is private, and the callback receiver serves http.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from demo.callbacks import CallbackReceiver
from demo.kubectl import Manifest
from demo.storage import Storage, send
from localcluster.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from localcluster.pki import Authority
from tests.e2e.model_archives import files
from tests.e2e.training import CALLBACK_FIELDS, HELLO, SMALL
from tests.support.cluster_harness import TRAINING_SECONDS, ClusterHarness
from tests.support.waiting import diagnostics, wait_until

NAME = "traind"
"""Of the pod, its Secret and its ConfigMap."""
README_VARIABLES = {
    "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
    "AZURE_STORAGE_KEY": ACCOUNT_KEY,
    "VOTT_TRAIN_PLUGIN": HELLO,
}
QUEUE, CONTAINER = "training", "models"
QUEUE_HOST = f"{ACCOUNT}.queue.core.windows.net"
ANNOTATIONS = b"""https://somehost/path/to/file01.jpg,10,20,30,40,class01
https://somehost/path/to/file01.jpg,50,60,30,40,class02
https://somehost/path/to/file02.jpg,10,20,30,40,class01
https://somehost/path/to/file03.jpg,10,20,30,40,class02
"""
AUTHORITY = "/etc/authority"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
FINALIZER = "vott.dev/e2e"
"""Keeps the deleted pod, to read its exit code."""
GRACE_SECONDS = 90
"""As in docs/traind.md."""

T = TypeVar("T")


@dataclass(frozen=True)
class Traind:
    """The daemon's pod, the storage account that it reads, and the callback of its message."""

    harness: ClusterHarness
    storage: Storage
    receiver: CallbackReceiver

    def wait(self, what: str, probe: Callable[[], T | None], seconds: float = TRAINING_SECONDS) -> T:
        """Wait until `probe` returns a true value and return it; a timeout fails with the daemon's log."""
        return wait_until(what, probe, seconds=seconds, dump=self._diagnostics)

    def outcome(self) -> str | None:
        """The outcome that the callback got, None until then; fails if the daemon has ended."""
        assert self.exit_code() is None, self._diagnostics()
        return self.receiver.last_state if self.receiver.last_state in ("succeeded", "failed") else None

    def exit_code(self) -> int | None:
        """The daemon's exit code; None while it runs."""
        statuses: list[dict[str, Any]] = self.harness.kubectl.get("pod", NAME)["status"].get("containerStatuses", [])
        return next(
            (status["state"]["terminated"]["exitCode"] for status in statuses if "terminated" in status["state"]), None
        )

    def _diagnostics(self) -> str:
        log = self.harness.kubectl("logs", f"--selector=app={NAME}", "--tail=-1", "--ignore-errors")
        return f"{diagnostics(self.harness.kubectl)}\n{log}"


@pytest.fixture(scope="module")
def traind(
    local: dict[str, str], harness: ClusterHarness, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traind]:
    """The daemon, once it has trained the README's message."""
    authority = Authority(tmp_path_factory.mktemp("pki"))
    with (
        Azurite(harness.host, queue_port=443, authority=authority, names=[QUEUE_HOST]) as azurite,
        pytest.MonkeyPatch.context() as environment,
        ExitStack() as cleanup,
    ):
        environment.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
        traind = Traind(harness, Storage(azurite.connection_string), harness.receiver())
        harness.kubectl.apply(objects(local["TRAINER_IMAGE"], harness.host, authority.certificate))
        cleanup.callback(_delete, harness)
        _send_message(traind)
        assert traind.wait("the outcome", traind.outcome) == "succeeded", traind.receiver.posts
        yield traind


def objects(image: str, host: str, certificate: Path) -> Manifest:
    """The daemon's pod, with a Secret and a ConfigMap for it.

    Args:
        image: the trainer image.
        host: address of Azurite and of the callback receiver.
        certificate: of the authority of Azurite's certificate.
    """
    variables = {
        "SSL_CERT_FILE": f"{AUTHORITY}/ca.crt",
        "REQUESTS_CA_BUNDLE": f"{AUTHORITY}/ca.crt",
        "VOTT_ALLOWED_NETWORKS": f"{host}/32",
        "VOTT_ALLOW_HTTP": "true",
    }
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["traind.py"],
        "envFrom": [{"secretRef": {"name": NAME}}],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": SMALL,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "authority", "mountPath": AUTHORITY, "readOnly": True}],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "hostAliases": [{"ip": host, "hostnames": [QUEUE_HOST]}],
        "securityContext": RESTRICTED,
        "containers": [container],
        "volumes": [{"name": "authority", "configMap": {"name": NAME}}],
    }
    metadata = {"name": NAME, "labels": {"app": NAME}, "finalizers": [FINALIZER]}
    items = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "stringData": README_VARIABLES},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME},
            "data": {"ca.crt": certificate.read_text()},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _send_message(traind: Traind) -> None:
    """Send the README's message: three URLs, and nothing else."""
    storage = traind.storage
    storage.create_container(CONTAINER)
    message = {
        "annotations": storage.upload(CONTAINER, "annotations.csv", ANNOTATIONS),
        "model": storage.container_url(CONTAINER),
        "status": traind.receiver.url,
    }
    send(storage.queue(QUEUE), message)


def _delete(harness: ClusterHarness) -> None:
    harness.kubectl("delete", "pod", NAME, "--wait=false")
    harness.kubectl("patch", "pod", NAME, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')


def test_the_model_is_in_the_container(traind: Traind) -> None:
    archive = dict(files(traind.storage.download(CONTAINER, "model.tgz")))
    assert archive["labels.txt"].split() == [b"class01", b"class02"]
    assert json.loads(archive["hello.json"])["hello"] == "world"


def test_every_callback_has_the_six_fields(traind: Traind) -> None:
    posts = traind.receiver.posts
    assert posts[0]["state"] == "running"
    assert [post for post in posts if not set(post) >= CALLBACK_FIELDS] == []
    assert all(0 <= post["progress"] <= 1 for post in posts)


def test_the_message_is_gone_and_not_put_aside(traind: Traind) -> None:
    queue = traind.storage.queue(QUEUE)
    traind.wait("an empty queue", lambda: queue.get_queue_properties().approximate_message_count == 0, 60)
    assert traind.storage.queue(f"{QUEUE}-poison").peek_messages() == []


def test_the_daemon_ends_with_0_at_sigterm(traind: Traind) -> None:
    traind.harness.kubectl("delete", "pod", NAME, "--wait=false")
    traind.wait("the end of the daemon", lambda: traind.exit_code() is not None, GRACE_SECONDS + 60)
    assert traind.exit_code() == 0
