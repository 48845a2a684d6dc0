"""Open a container with the pod's own identity, for URLs without SAS: the account key or the workload identity."""

from urllib.parse import unquote, urlsplit

from azure.storage.blob import BlobServiceClient

from vott_guard.redaction import redact_url
from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.access import CONTAINERS_SETTING, StorageAccess
from vott_trainer.stores.azure.account_key import account_of, container_in, split_path
from vott_trainer.stores.azure.store import AzureStore, container_at
from vott_trainer.stores.azure.workload_identity import has_workload_identity, workload_identity
from vott_trainer.stores.object_names import is_plain_path
from vott_trainer.stores.store_errors import ASK_ADMINISTRATOR, NEW_LINK


def open_container(base: str, access: StorageAccess, *, must_be_listed: bool = True) -> AzureStore:
    """Open the container and prefix at the URL `base`, which has no SAS.

    Args:
        base: URL without query.
        access: the administrator's identities and lists.
        must_be_listed: whether the administrator must have listed the container; required for any URL of a message.

    Raises:
        UploadRefusedError: no identity fits, or the container is not listed.
        TemporaryFailureError: Microsoft Entra does not answer.
    """
    account = account_of(access.connection_string) if access.connection_string else None
    container, prefix = split_path(base, account) if account else ("", "")
    if account and container:
        if must_be_listed and not access.allows_container(container):
            raise UploadRefusedError(
                f"Container {container!r} is not among those that models may go to without a SAS. "
                f"Send a link with a SAS, or ask the administrator to list the container in {CONTAINERS_SETTING}."
            )
        return container_in(account, container, prefix)
    if has_workload_identity(access.environment) and (not must_be_listed or _is_listed(base, access)):
        credential = workload_identity(access.environment, redact_url(base))
        return container_at(base, credential=credential, remedy=ASK_ADMINISTRATOR)
    raise UploadRefusedError(_no_identity(base, access, account))


def _is_listed(base: str, access: StorageAccess) -> bool:
    return is_plain_path(unquote(urlsplit(base).path).strip("/")) and access.allows_url(base)


def _no_identity(base: str, access: StorageAccess, account: BlobServiceClient | None) -> str:
    """Explain why no identity fits, with the remedy."""
    url = redact_url(base)
    if not (account and _is_in(account, base)) and not _is_azure(base):
        return (
            f"{url} is neither an Azure container nor a bucket of this installation nor a link with a signature or token in its query. "
            "Send one of the links that docs/destinations.md lists."
        )
    if has_workload_identity(access.environment):
        return (
            f"The link to {url} carries no SAS, and is not among the containers that models may go to without one. Send a link with a SAS, "
            f"or ask the administrator to list it in {CONTAINERS_SETTING}, as a URL: https://ACCOUNT.blob.core.windows.net/CONTAINER."
        )
    elsewhere = " and names no container of this installation's storage account" if account else ""
    return f"The link to {url} carries no SAS{elsewhere}. {NEW_LINK}"


def _is_azure(url: str) -> bool:
    """Whether the host is a storage account's, in any of Azure's clouds."""
    return ".blob." in (urlsplit(url).hostname or "")


def _is_in(account: BlobServiceClient, url: str) -> bool:
    return urlsplit(url).netloc.lower() == urlsplit(account.url).netloc.lower()
