"""What a labeller's machine does in Azure Storage: upload images and annotations, make the URLs, send the message."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

from demo.shapes import AnnotatedImage, Box

UPLOADS_AT_ONCE = 8
SAS_LIFETIME = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)


class Storage:
    """One storage account, reached with its key.

    Raises `azure.core.exceptions.AzureError` where the account refuses or can't be reached.
    """

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        self._blobs = BlobServiceClient.from_connection_string(connection_string)
        if not getattr(self._blobs.credential, "account_key", None):
            raise ValueError("AZURE_STORAGE_CONNECTION_STRING has no AccountKey, and without one no SAS can be made")
        self._key: str = self._blobs.credential.account_key

    def create_container(self, name: str) -> ContainerClient:
        """Create a container that nobody may read without a SAS."""
        return self._blobs.create_container(name)

    def delete_container(self, name: str) -> None:
        """Delete a container; one that is gone already is no error."""
        with suppress(ResourceNotFoundError):
            self._blobs.delete_container(name)

    def blob_url(self, container: str, blob: str, permission: str = "r") -> str:
        """URL of one blob with a SAS; `permission` in Azure's letters, such as `r` or `cw`."""
        sas = generate_blob_sas(
            self._account,
            container,
            blob,
            account_key=self._key,
            permission=BlobSasPermissions.from_string(permission),
            start=_now() - CLOCK_SKEW,
            expiry=_now() + SAS_LIFETIME,
        )
        return f"{self._blobs.get_blob_client(container, blob).url}?{sas}"

    def container_url(self, container: str, permission: str = "rcw") -> str:
        """URL of a container with a SAS; `permission` in Azure's letters."""
        sas = generate_container_sas(
            self._account,
            container,
            account_key=self._key,
            permission=ContainerSasPermissions.from_string(permission),
            start=_now() - CLOCK_SKEW,
            expiry=_now() + SAS_LIFETIME,
        )
        return f"{self._blobs.get_container_client(container).url}?{sas}"

    def upload(self, container: str, blob: str, content: bytes) -> str:
        """Upload one blob and return its URL with a SAS to read it."""
        self._blobs.get_blob_client(container, blob).upload_blob(content, overwrite=True)
        return self.blob_url(container, blob)

    def download(self, container: str, blob: str) -> bytes:
        """The content of one blob."""
        return self._blobs.get_blob_client(container, blob).download_blob().readall()

    def upload_images(
        self, container: str, images: Iterable[AnnotatedImage], done: Callable[[AnnotatedImage], None] = lambda _: None
    ) -> str:
        """Upload images and their `annotations.csv`; return the URL of the latter with a SAS to read it.

        Args:
            container: name of an existing container.
            images: what to upload.
            done: called after each image, in order.
        """

        def upload(image: AnnotatedImage) -> tuple[AnnotatedImage, str]:
            return image, self.upload(container, image.name, image.jpeg)

        rows: list[tuple[str, Box]] = []
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            for image, url in pool.map(upload, images):
                rows.extend((url, box) for box in image.boxes)
                done(image)
        return self.upload(container, "annotations.csv", annotations_csv(rows))

    def queue(self, name: str) -> QueueClient:
        """The queue of that name, created where it is missing. Messages are sent as they are, without base64."""
        client = QueueClient.from_connection_string(self.connection_string, name)
        with suppress(ResourceExistsError):
            client.create_queue()
        return client

    @property
    def blob_service_url(self) -> str:
        """URL of the account's blob service."""
        return str(self._blobs.url)

    @property
    def queue_service_url(self) -> str:
        """URL of the account's queue service."""
        return QueueServiceClient.from_connection_string(self.connection_string).url

    @property
    def _account(self) -> str:
        name: str | None = self._blobs.account_name
        if name is None:  # only for a service URL of unusual form
            raise ValueError("AZURE_STORAGE_CONNECTION_STRING names no account")
        return name


def annotations_csv(rows: Iterable[tuple[str, Box]]) -> bytes:
    """The first VoTT-train's dialect: one line an object, `url,x,y,width,height,class`, no header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((url, box.x, box.y, box.width, box.height, box.label) for url, box in rows)
    return text.getvalue().encode()


def send(queue: QueueClient, message: dict[str, Any]) -> QueueMessage:
    """Send the message as VoTT writes it: plain JSON."""
    return queue.send_message(json.dumps(message))


def _now() -> datetime:
    return datetime.now(UTC)
