"""Azurite's storage account: containers, and SAS URLs for them and their blobs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)


@dataclass(frozen=True)
class AzuriteAccount:
    """A storage account in Azurite."""

    connection_string: str

    @property
    def service(self) -> BlobServiceClient:
        """A client that has the account's key."""
        return BlobServiceClient.from_connection_string(self.connection_string)

    def create_container(self, name: str) -> ContainerClient:
        """Create a container."""
        return self.service.create_container(name)

    def container_sas_url(self, container: ContainerClient, prefix: str = "", *, permissions: str = "rcwl") -> str:
        """A SAS URL of a container, with a prefix in its path."""
        sas = generate_container_sas(
            str(self.service.account_name),
            container.container_name,
            account_key=self._key,
            permission=ContainerSasPermissions.from_string(permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{container.url}{prefix}?{sas}"

    def blob_sas_url(self, container: ContainerClient, blob: str, *, permissions: str = "cw") -> str:
        """A SAS URL of one blob, write-only by default."""
        sas = generate_blob_sas(
            str(self.service.account_name),
            container.container_name,
            blob,
            account_key=self._key,
            permission=BlobSasPermissions.from_string(permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{container.url}/{blob}?{sas}"

    @property
    def _key(self) -> str:
        return str(self.service.credential.account_key)


def blob_names(container: ContainerClient) -> list[str]:
    """The names of a container's blobs, sorted."""
    return sorted(str(blob.name) for blob in container.list_blobs())
