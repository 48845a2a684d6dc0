"""Containers of the administrator's storage account, opened with its connection string: an account key or a SAS."""

from urllib.parse import quote, unquote, urlsplit

from azure.storage.blob import BlobClient, BlobServiceClient

from vott_guard.redaction import redact_url
from vott_trainer.errors import InvalidParametersError
from vott_trainer.stores.azure.options import client_options
from vott_trainer.stores.azure.store import AzureStore
from vott_trainer.stores.object_names import checked_name, is_plain_path
from vott_trainer.stores.store_errors import ASK_ADMINISTRATOR


def account_of(connection_string: str) -> BlobServiceClient:
    """Return the storage account of a connection string.

    Raises:
        InvalidParametersError: it is not a connection string.
    """
    try:
        return BlobServiceClient.from_connection_string(connection_string, **client_options())
    except ValueError as error:  # its text may hold parts of the key
        raise InvalidParametersError("AZURE_STORAGE_CONNECTION_STRING is not a storage connection string.") from error


def container_in(account: BlobServiceClient, container: str, prefix: str) -> AzureStore:
    """Open a container of the account, with a prefix that may be empty."""
    start = f"{prefix}/" if prefix else ""

    def blob(name: str) -> BlobClient:
        return account.get_blob_client(container, f"{start}{checked_name(name)}")

    path = quote(f"{container}/{prefix}".rstrip("/"))
    return AzureStore(f"{redact_url(account.url).rstrip('/')}/{path}", blob, ASK_ADMINISTRATOR)


def split_path(url: str, account: BlobServiceClient) -> tuple[str, str]:
    """Return container and prefix of a URL in the account; two empty names for a URL elsewhere."""
    account_url, parts = urlsplit(account.url), urlsplit(url)
    base = account_url.path.rstrip("/") + "/"
    same_host = (parts.scheme, parts.netloc.lower()) == (account_url.scheme, account_url.netloc.lower())
    path = unquote(parts.path.removeprefix(base)).rstrip("/")
    if not same_host or not parts.path.startswith(base) or not is_plain_path(path):
        return "", ""
    container, _, prefix = path.partition("/")
    return container, prefix
