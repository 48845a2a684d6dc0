"""Harness of the end-to-end tests: a namespace of the local cluster with operator, queues and containers, and the messages sent to it."""

import base64
import io
import json
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.storage.queue import QueueClient
from PIL import Image

from demo.callbacks import CallbackReceiver
from demo.kubectl import Kubectl, Manifest
from demo.progress import condition, find_job, is_true
from demo.shapes import AnnotatedImage, annotated_images
from demo.storage import Storage
from tests.support.queue_proxy import QueueProxy
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.trainer_process import train_locally
from tests.support.waiting import diagnostics, wait_until

IMAGES = 12
TRAINING_SECONDS = 780.0
"""Until a training has ended: all trainings of a session start at once, and share two cores."""

T = TypeVar("T")


@dataclass(frozen=True)
class Submission:
    """A sent message, with its TrainingJob and callbacks."""

    harness: "ClusterHarness"
    message_id: str
    receiver: CallbackReceiver

    def job(self) -> Manifest | None:
        """The message's TrainingJob, or None."""
        return find_job(self.harness.kubectl.list("trainingjobs"), self.message_id)

    def wait_accepted(self) -> Manifest:
        """Wait until the TrainingJob exists; return it."""
        return self.harness.wait(f"a TrainingJob for message {self.message_id}", self.job)

    def wait_ended(self, seconds: float = TRAINING_SECONDS) -> Manifest:
        """Wait until the TrainingJob is Complete or Failed and the outcome callback has arrived; return the TrainingJob."""
        job = self.harness.wait(f"the end of message {self.message_id}'s training", self._ended, seconds)
        self.wait_outcome_callback()
        return job

    def wait_completed(self) -> Manifest:
        """Wait until the TrainingJob is Complete and return it; fail with the reason if it is Failed."""
        job = self.wait_ended()
        assert is_true(job, "Complete"), f"{condition(job, 'Failed')}\n{diagnostics(self.harness.kubectl)}"
        return job

    def wait_failed(self) -> dict[str, Any]:
        """Wait until the TrainingJob has failed; return its Failed condition."""
        job = self.wait_ended()
        assert is_true(job, "Failed"), "the training did not fail"
        return condition(job, "Failed")

    def wait_outcome_callback(self) -> dict[str, Any]:
        """Wait for the outcome callback; return its body."""
        receiver = self.receiver
        self.harness.wait("the outcome callback", lambda: receiver.last_state in ("succeeded", "failed"), 60)
        return receiver.posts[-1]

    def wait_rejected(self) -> dict[str, Any]:
        """Wait until the message is in the poison queue; return the poison message."""
        return self.harness.wait(
            f"message {self.message_id} in the poison queue", lambda: self.harness.poison_message(self.message_id)
        )

    def _ended(self) -> Manifest | None:
        job = self.job()
        return job if job and (is_true(job, "Complete") or is_true(job, "Failed")) else None

    def pods(self) -> list[Manifest]:
        """The pods of the training."""
        return self.harness.kubectl.list("pods", f"vott.dev/trainingjob={self.wait_accepted()['metadata']['name']}")


class ClusterHarness:
    """A namespace with its own operator, queues and blob containers.

    Args:
        name: name of the namespace, the Helm release and the queues, and prefix of the containers.
        kubectl: for that namespace.
        storage: the storage account, without the proxy.
        host: address of this host for pods.
        proxy: the operator's queue endpoint.
        broker: the Service Bus broker, with a queue of the harness's name.
    """

    def __init__(
        self, name: str, kubectl: Kubectl, storage: Storage, host: str, proxy: QueueProxy, broker: ServiceBusBroker
    ) -> None:
        self.name = name
        self.kubectl = kubectl
        self.storage = storage
        self.host = host
        self.proxy = proxy
        self.broker = broker
        self._resources = ExitStack()
        self._containers = 0

    @cached_property
    def queue(self) -> QueueClient:
        """The storage queue that the operator receives from."""
        return self.storage.queue(self.name)

    @cached_property
    def poison_queue(self) -> QueueClient:
        """The storage queue's poison queue."""
        return self.storage.queue(f"{self.name}-poison")

    @cached_property
    def annotations(self) -> str:
        """URL of annotations with boxes for a small image set; uploaded on first use."""
        return self.storage.upload_images(self.container(), annotated_images(IMAGES))

    @cached_property
    def classes(self) -> str:
        """URL of annotations with one class per image for a small set; uploaded on first use."""
        container, images = self.container(), list(annotated_images(IMAGES))
        urls = [self.storage.upload(container, image.name, _crop(image)) for image in images]
        lines = [f"{url},{image.boxes[0].label}\n" for url, image in zip(urls, images, strict=True)]
        return self.storage.upload(container, "classes.csv", "".join(lines).encode())

    @cached_property
    def earlier_model(self) -> str:
        """URL of a briefly trained detector of the same classes; trained on this host on first use."""
        container = self.container()
        train_locally(self.annotations, self.storage.container_url(container), epochs=1)
        return self.storage.blob_url(container, "model.tgz")

    @cached_property
    def folder(self) -> Path:
        """A folder on this host, removed with the harness."""
        return Path(self._resources.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))

    def container(self) -> str:
        """Create a container, removed with the harness; return its name."""
        self._containers += 1
        name = f"{self.name}-{self._containers}"
        self.storage.create_container(name)
        self._resources.callback(self.storage.delete_container, name)
        return name

    def upload(self, name: str, text: str) -> str:
        """Upload a text file to a new container; return its URL with a read SAS."""
        return self.storage.upload(self.container(), name, text.encode())

    def model_url(self, permission: str = "rcw") -> str:
        """URL of a new container with a SAS, for one model."""
        return self.storage.container_url(self.container(), permission)

    def receiver(self) -> CallbackReceiver:
        """Start a callback receiver that runs until the harness closes."""
        return self._resources.enter_context(CallbackReceiver(self.host))

    def message(self, receiver: CallbackReceiver, **fields: object) -> str:
        """A valid message as JSON; `fields` replace its fields, None removes one."""
        message = {"annotations": self.annotations, "model": self.model_url(), "status": receiver.url} | fields
        return json.dumps({name: value for name, value in message.items() if value is not None})

    def send_to_service_bus(self, **fields: object) -> Submission:
        """Send a valid message to the Service Bus queue; see `message`."""
        receiver, message_id = self.receiver(), str(uuid.uuid4())
        text = self.message(receiver, **fields)
        with (
            ServiceBusClient.from_connection_string(self.broker.connection_string) as client,
            client.get_queue_sender(self.name) as sender,
        ):
            sender.send_messages(ServiceBusMessage(text, message_id=message_id))
        return Submission(self, message_id, receiver)

    def send(self, *, encode: bool = False, **fields: object) -> Submission:
        """Send a valid message to the storage queue; see `message`."""
        receiver = self.receiver()
        text = self.message(receiver, **fields)
        return self.send_text(base64.b64encode(text.encode()).decode() if encode else text, receiver)

    def send_text(self, text: str, receiver: CallbackReceiver | None = None) -> Submission:
        """Send any text to the storage queue."""
        return Submission(self, str(self.queue.send_message(text).id), receiver or self.receiver())

    def poison_message(self, message_id: str) -> dict[str, Any] | None:
        """The poison message of this message id, or None."""
        texts = (json.loads(message.content) for message in self.poison_queue.peek_messages(max_messages=32))
        return next((text for text in texts if text.get("messageId") == message_id), None)

    def create_claim(self, manifest: Manifest) -> Path:
        """Create a PersistentVolumeClaim and, like a StorageClass, its volume: a world-writable folder on this host. Return the folder."""
        name, spec = str(manifest["metadata"]["name"]), manifest["spec"]
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o777)
        self.kubectl.apply(manifest)
        volume = {
            "accessModes": spec["accessModes"],
            "capacity": spec["resources"]["requests"],
            "claimRef": {"namespace": self.name, "name": name},
            "hostPath": {"path": str(folder)},
        }
        metadata = {"name": f"{self.name}-{name}"}
        self.apply_cluster_scoped(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume}
        )
        return folder

    def apply_cluster_scoped(self, manifest: Manifest) -> None:
        """Apply an object without a namespace; it is removed with the harness."""
        self.kubectl.apply(manifest)
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        self._resources.callback(self.kubectl, "delete", name, "--ignore-not-found", "--wait=false")

    def operator_pods(self) -> list[Manifest]:
        """The operator's pods."""
        return self.kubectl.list("pods", f"app.kubernetes.io/name=vott-train,app.kubernetes.io/instance={self.name}")

    def wait(self, what: str, probe: Callable[[], T | None], seconds: float = 120) -> T:
        """Wait until `probe` returns a true value and return it; a timeout fails with diagnostics of the namespace."""
        return wait_until(what, probe, seconds=seconds, dump=lambda: diagnostics(self.kubectl))

    def close(self) -> None:
        """Remove containers and queues, and stop the receivers."""
        self._resources.close()
        for queue in (self.queue, self.poison_queue):
            with suppress(ResourceNotFoundError):  # the cluster may have been restarted during the session
                queue.delete_queue()


def _crop(image: AnnotatedImage) -> bytes:
    """The first box of an image as a JPEG."""
    box, cropped = image.boxes[0], io.BytesIO()
    with Image.open(io.BytesIO(image.jpeg)) as whole:
        whole.crop((box.x, box.y, box.x + box.width, box.y + box.height)).save(cropped, "JPEG")
    return cropped.getvalue()
