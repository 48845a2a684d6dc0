"""Azure Storage from the labeller's side: upload images and annotations, create SAS URLs, send the message."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
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

CONCURRENT_UPLOADS = 8
SAS_LIFETIME = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)


class Storage:
    """A storage account, accessed with its key.

    Raises `azure.core.exceptions.AzureError` if the account refuses or can't be reached.
    """

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        self._blobs = BlobServiceClient.from_connection_string(connection_string)
        if not getattr(self._blobs.credential, "account_key", None):
            raise ValueError("AZURE_STORAGE_CONNECTION_STRING has no AccountKey, which is needed to create a SAS")
        self._key: str = self._blobs.credential.account_key

    def create_container(self, name: str) -> ContainerClient:
        """Create a container without public access."""
        return self._blobs.create_container(name)

    def delete_container(self, name: str) -> None:
        """Delete a container; not found is success."""
        with suppress(ResourceNotFoundError):
            self._blobs.delete_container(name)

    def blob_url(self, container: str, blob: str, permission: str = "r") -> str:
        """SAS URL of a blob, with Azure's permission letters such as `r` or `cw`."""
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
        """SAS URL of a container, with Azure's permission letters."""
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
        """Upload a blob and return a SAS URL to read it."""
        self._blobs.get_blob_client(container, blob).upload_blob(content, overwrite=True)
        return self.blob_url(container, blob)

    def upload_file(self, container: str, path: Path) -> str:
        """Upload a file under its own name and return a SAS URL to read it."""
        with path.open("rb") as file:
            self._blobs.get_blob_client(container, path.name).upload_blob(
                file, overwrite=True, max_concurrency=CONCURRENT_UPLOADS
            )
        return self.blob_url(container, path.name)

    def download(self, container: str, blob: str) -> bytes:
        """Content of a blob."""
        return self._blobs.get_blob_client(container, blob).download_blob().readall()

    def upload_images(
        self, container: str, images: Iterable[AnnotatedImage], done: Callable[[AnnotatedImage], None] = lambda _: None
    ) -> str:
        """Upload images and their `annotations.csv`; return a SAS URL to read the latter.

        Args:
            container: Name of an existing container.
            images: Images to upload.
            done: Called after each image, in order.
        """

        def upload(image: AnnotatedImage) -> tuple[AnnotatedImage, str]:
            return image, self.upload(container, image.name, image.jpeg)

        rows: list[tuple[str, Box]] = []
        with ThreadPoolExecutor(CONCURRENT_UPLOADS) as pool:
            for image, url in pool.map(upload, images):
                rows.extend((url, box) for box in image.boxes)
                done(image)
        return self.upload(container, "annotations.csv", annotations_csv(rows))

    def queue(self, name: str) -> QueueClient:
        """The queue, which is created if it is missing. Messages are sent without base64."""
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
        if name is None:  # an unusual service URL
            raise ValueError("AZURE_STORAGE_CONNECTION_STRING names no account")
        return name


def annotations_csv(rows: Iterable[tuple[str, Box]]) -> bytes:
    """CSV as for the first VoTT-train: one line per object, `url,x,y,width,height,class`, without a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((url, box.x, box.y, box.width, box.height, box.label) for url, box in rows)
    return text.getvalue().encode()


def send(queue: QueueClient, message: dict[str, Any]) -> QueueMessage:
    """Send the message as VoTT writes it: plain JSON."""
    return queue.send_message(json.dumps(message))


def _now() -> datetime:
    return datetime.now(UTC)
