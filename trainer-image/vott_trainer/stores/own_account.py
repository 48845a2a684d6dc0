"""Places that are written with the administrator's own identity, not by a link's permission."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.storage.blob import BlobServiceClient

from vott_guard.redaction import redact_url
from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.azure import account_of, below_url, in_account
from vott_trainer.stores.base import Store, plain_names
from vott_trainer.stores.messages import ASK_ADMINISTRATOR, NEW_LINK, explained

# What an administrator sets: with the chart, and without.
CONTAINERS = "trainer.modelStore.containers (VOTT_MODEL_CONTAINERS)"
BUCKETS = "trainer.modelStore.buckets (VOTT_MODEL_BUCKETS)"
_SCOPE = "https://storage.azure.com/.default"
_WORKLOAD_IDENTITY = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


def open_container(base: str, access: StorageAccess, *, listed: bool = True) -> Store:
    """Return the container and prefix at URL `base`, which carries no SAS.

    `listed` says that the administrator must have listed it, which is so for everything that a message names.

    Raises:
        UploadRefusedError: no identity is for that place, or it is not listed.
    """
    shown = redact_url(base)
    account = account_of(access.connection_string) if access.connection_string else None
    container, prefix = _within(base, account.url) if account else ("", "")
    if account and container:
        return _by_key(account, container, prefix, access, listed=listed)
    if _has_identity(access.environment) and (not listed or _is_listed_url(base, access)):
        return below_url(base, credential=_workload_identity(access.environment, shown), remedy=ASK_ADMINISTRATOR)
    raise UploadRefusedError(_not_open(base, access, account))


def _not_open(base: str, access: StorageAccess, account: BlobServiceClient | None) -> str:
    """Return why nobody's permission is for a place, and what to do."""
    shown = redact_url(base)
    if not (account and _is_at(base, account.url)) and not _is_azure(base):
        return (
            f"{shown} is neither an Azure container nor a bucket of this installation nor a link with a signature or token in its query. "
            "Send one of the links that docs/destinations.md lists."
        )
    if _has_identity(access.environment):
        return (
            f"The link to {shown} carries no SAS, and is not among the containers that models may go to without one. Send a link with a SAS, "
            f"or ask the administrator to list it in {CONTAINERS}, as a URL: https://ACCOUNT.blob.core.windows.net/CONTAINER."
        )
    place = " and names no container of this installation's storage account" if account else ""
    return f"The link to {shown} carries no SAS{place}. {NEW_LINK}"


def _is_azure(url: str) -> bool:
    """Whether a URL's host is that of a storage account, in any of Azure's clouds."""
    return ".blob." in (urlsplit(url).hostname or "")


def _is_at(url: str, account_url: str) -> bool:
    return urlsplit(url).netloc.lower() == urlsplit(account_url).netloc.lower()


def _by_key(account: BlobServiceClient, container: str, prefix: str, access: StorageAccess, *, listed: bool) -> Store:
    if listed and not access.allows_container(container):
        raise UploadRefusedError(
            f"Container {container!r} is not among those that models may go to without a SAS. "
            f"Send a link with a SAS, or ask the administrator to list the container in {CONTAINERS}."
        )
    return in_account(account, container, prefix, ASK_ADMINISTRATOR)


def _is_listed_url(base: str, access: StorageAccess) -> bool:
    return plain_names(unquote(urlsplit(base).path).strip("/")) and access.allows_url(base)


def _within(target: str, account_url: str) -> tuple[str, str]:
    """Return container and prefix of a URL within the account; empty names if it is not within."""
    account, wanted = urlsplit(account_url), urlsplit(target)
    base = account.path.rstrip("/") + "/"
    same_host = (wanted.scheme, wanted.netloc.lower()) == (account.scheme, account.netloc.lower())
    path = unquote(wanted.path.removeprefix(base)).rstrip("/")
    if not same_host or not wanted.path.startswith(base) or not plain_names(path):
        return "", ""
    container, _, prefix = path.partition("/")
    return container, prefix


def _has_identity(environment: Mapping[str, str]) -> bool:
    return all(environment.get(name) for name in _WORKLOAD_IDENTITY)


def _workload_identity(environment: Mapping[str, str], shown: str) -> Any:
    """Return the pod's identity, once Entra has given it a token: what it refuses now, it would refuse after the training."""
    from azure.identity import WorkloadIdentityCredential  # half a second to import

    client, tenant, file = (environment[name] for name in _WORKLOAD_IDENTITY)
    authority = environment.get("AZURE_AUTHORITY_HOST")
    options = {"authority": authority, "disable_instance_discovery": True} if authority else {}
    credential = WorkloadIdentityCredential(tenant_id=tenant, client_id=client, token_file_path=file, **options)
    try:
        credential.get_token(_SCOPE)
    except ClientAuthenticationError as error:
        said = re.search(r"AADSTS\d+: [^'\"\n]*", str(error))
        why = said[0].strip() if said else "Microsoft Entra gives it no token."
        raise UploadRefusedError(
            f"The trainer's own identity can't write to {shown}: {why} Ask the administrator to check trainer.workloadIdentity."
        ) from error
    except AzureError as error:
        raise explained("Signing in for", shown, None) from error
    return credential
