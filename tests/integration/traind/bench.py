"""What a test of the daemon needs: messages, their callback and their models, and daemons that share a state folder."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from tests.support.azure_queues import AzureQueue, AzuriteQueue, BrokerQueue
from tests.support.azurite_account import AzuriteAccount, blob_names
from tests.support.http_server import HttpServer
from tests.support.traind_process import TraindProcess
from tests.support.waiting import wait_until

ANNOTATIONS = b"https://images.example.com/1.jpg,1,1,10,10,cat\nhttps://images.example.com/2.jpg,1,1,10,10,dog\n"
CALLBACK_SECRET = "the-secret-of-the-callback"


@dataclass
class Bench:
    """Starts daemons and writes messages; models and annotations are in `container`."""

    folder: Path
    account: AzuriteAccount
    container: ContainerClient
    receiver: HttpServer
    stack: ExitStack

    def start(self, *queues: AzureQueue, arguments: tuple[str, ...] = (), **variables: str) -> TraindProcess:
        """Start a daemon that consumes these queues."""
        environment = {name: value for queue in queues for name, value in queue.environment.items()}
        if queues:
            environment["VOTT_TRAIN_QUEUES"] = json.dumps([queue.settings for queue in queues])
        daemon = TraindProcess(self.folder, environment | variables, *arguments)
        self.stack.callback(daemon.wait)
        self.stack.callback(daemon.kill)
        return daemon

    def message(
        self, name: str = "cats", *, annotations: bytes = ANNOTATIONS, plugin: str = "hello-world", **parameters: object
    ) -> str:
        """Write a message of VoTT; model and callback are named `name`."""
        self.container.upload_blob(f"{name}.csv", annotations)
        urls = {
            "annotations": self.account.blob_sas_url(self.container, f"{name}.csv", permissions="r"),
            "model": self.account.container_sas_url(self.container, f"/{name}", permissions="rcwdl"),
            "status": f"{self.receiver.url}/{name}?token={CALLBACK_SECRET}",
        }
        return json.dumps(urls | {"plugin": plugin, "parameters": parameters})

    def posts(self, name: str = "cats") -> list[dict[str, Any]]:
        """The posts to a message's callback."""
        return self.receiver.bodies(f"/{name}")

    def outcomes(self, name: str = "cats") -> list[str]:
        """The outcomes that were posted to a message's callback."""
        return [post["state"] for post in self.posts(name) if post["state"] != "running"]

    def has_model(self, name: str = "cats") -> bool:
        """Whether a message's model is in the container."""
        return f"{name}/model.tgz" in blob_names(self.container)

    def wait(self, what: str, probe: Callable[[], object], daemon: TraindProcess, seconds: float = 120) -> None:
        """Wait until `probe` is true; fail with the daemon's log, also if the daemon ends."""

        def check() -> bool:
            assert daemon.poll() is None, daemon.log.read_text()
            return bool(probe())

        wait_until(what, check, seconds=seconds, dump=daemon.log.read_text)

    def wait_settled(self, queue: AzureQueue, daemon: TraindProcess, seconds: float = 120) -> None:
        """Wait until the queue has no message, locked ones included."""
        self.wait("an empty queue", lambda: unsettled(queue) == 0, daemon, seconds)


def unsettled(queue: AzureQueue) -> int:
    """Number of messages in the queue, locked ones included."""
    if isinstance(queue, AzuriteQueue):
        return queue.queue.get_queue_properties().approximate_message_count or 0
    assert isinstance(queue, BrokerQueue)
    counts = queue.broker.counts(queue.name)
    return counts.active + counts.locked


def attempts(daemon: TraindProcess) -> int:
    """How many trainers all daemons of this log have started."""
    return daemon.log.read_text().count(", attempt ")
