"""Azure's clients for a queue, with whichever credentials there are.

Error texts name the queue and the variable, never a value.
"""

import base64
import binascii
import re
import time
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import DefaultAzureCredential
from azure.servicebus import ServiceBusConnectionStringProperties, parse_connection_string
from azure.servicebus.aio import ServiceBusClient
from azure.storage.queue.aio import QueueClient

from vott_operator.errors import SettingsError
from vott_operator.queues.credentials import Credentials
from vott_operator.settings.queue import QueueSettings

STORAGE_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
STORAGE_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
STORAGE_KEY = "AZURE_STORAGE_KEY"
STORAGE_SAS = "AZURE_STORAGE_SAS_TOKEN"
BUS_CONNECTION_STRING = "AZURE_SERVICE_BUS_CONNECTION_STRING"
BUS_NAMESPACE = "AZURE_SERVICE_BUS_NAMESPACE"
BUS_KEY_NAME = "AZURE_SERVICE_BUS_ACCESS_KEY_NAME"
BUS_KEY = "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE"
BUS_SAS = "AZURE_SERVICE_BUS_SAS_TOKEN"

AZURE_HOST = re.compile(r"([a-z0-9]+)[-.a-z0-9]*\.queue\.(core|storage)\.")
"""Also of a private link, a DNS zone or IPv6: https://learn.microsoft.com/azure/storage/common/storage-account-overview"""
RENEW_BEFORE_SECONDS = 300
STORAGE_OPTIONS: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 30, "retry_total": 0}
"""Whoever calls tries again, with a backoff that a shutdown can interrupt."""


class WorkloadIdentity:
    """The tokens of DefaultAzureCredential, with nothing left open between them that would have to be closed."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[Any, ...], AccessToken] = {}

    async def get_token(self, *scopes: str, claims: str | None = None, **kwargs: Any) -> AccessToken:
        """See AsyncTokenCredential."""
        key = (scopes, *sorted(kwargs.items()))
        token = self._tokens.get(key)
        if token is None or claims or token.expires_on < time.time() + RENEW_BEFORE_SECONDS:
            async with DefaultAzureCredential() as credential:
                token = self._tokens[key] = await _token(credential, *scopes, claims=claims, **kwargs)
        return token

    async def close(self) -> None:
        """See AsyncTokenCredential."""

    async def __aenter__(self) -> "WorkloadIdentity":
        return self

    async def __aexit__(self, *_: object) -> None:
        """See AsyncTokenCredential."""


def storage_client(queue: QueueSettings, credentials: Credentials, name: str) -> QueueClient:
    """A client for the queue `name` of the account that `queue` lies in.

    Raises SettingsError when the credentials are incomplete, malformed, or another account's.
    """
    if text := credentials.get(STORAGE_CONNECTION_STRING):
        client = _from_connection_string(text, name, queue, credentials)
        _same_account(client, queue)
        return client
    credential = _storage_credential(queue, credentials)
    return QueueClient(_account_url(queue, credentials), name, credential=credential, **STORAGE_OPTIONS)


def service_bus_client(queue: QueueSettings, credentials: Credentials, **options: Any) -> ServiceBusClient:
    """A client for the namespace that `queue` lies in; `options` are ServiceBusClient's.

    Raises SettingsError when the credentials are incomplete, malformed, or another namespace's or queue's.
    """
    host = service_bus_host(queue, credentials)
    if text := credentials.get(BUS_CONNECTION_STRING):
        return ServiceBusClient.from_connection_string(text, **options)
    return ServiceBusClient(host, _bus_credential(queue, credentials), **options)


def service_bus_host(queue: QueueSettings, credentials: Credentials) -> str:
    """Fully qualified name of the namespace that `queue` lies in, in lower case. Raises SettingsError as `service_bus_client`."""
    named = _domain(queue.service_bus_namespace)
    if text := credentials.get(BUS_CONNECTION_STRING):
        parsed = _parse_bus(text, queue, credentials)
        host = str(parsed.fully_qualified_namespace).lower()
        if named and named != host:
            raise SettingsError(
                f"{queue.place}: serviceBusNamespace is {named}, but {BUS_CONNECTION_STRING} is of {host}"
            )
        return host
    namespace = named or _domain(credentials.get(BUS_NAMESPACE) or "")
    if not namespace:
        raise SettingsError(
            f"{queue.place}: {credentials.where} has no credentials; set {BUS_CONNECTION_STRING},"
            f" or {BUS_NAMESPACE} with {BUS_KEY_NAME} and {BUS_KEY} (or {BUS_SAS}, or a workload identity)"
        )
    return namespace


async def _token(credential: DefaultAzureCredential, *scopes: str, **kwargs: Any) -> AccessToken:
    try:
        return await credential.get_token(*scopes, **kwargs)
    except ClientAuthenticationError as error:
        # A paragraph about each kind of credential; only a pod's is meant here.
        said = re.search(r"WorkloadIdentityCredential: (.*)", str(error))
        raise ClientAuthenticationError(
            f"no token for the workload identity: {said[1] if said else error.message}"
        ) from None


# ------------------------------------------------------------------------------------------------------------- storage


def _from_connection_string(text: str, name: str, queue: QueueSettings, credentials: Credentials) -> QueueClient:
    try:
        client = QueueClient.from_connection_string(text, name, **STORAGE_OPTIONS)
    except ValueError:
        raise SettingsError(
            f"{queue.place}: {STORAGE_CONNECTION_STRING} is not a connection string of a storage account,"
            f" with an AccountKey or a SharedAccessSignature (look at {credentials.where})"
        ) from None
    if key := re.search(r"(?:^|;)\s*AccountKey=([^;]*)", text, re.IGNORECASE):
        _check_key(key[1], f"{queue.place}: the AccountKey in {STORAGE_CONNECTION_STRING}", credentials)
    return client


def _storage_credential(queue: QueueSettings, credentials: Credentials) -> Any:
    if key := credentials.get(STORAGE_KEY):
        _check_key(key, f"{queue.place}: {STORAGE_KEY}", credentials)
        return {"account_name": _account_name(queue, credentials), "account_key": key}
    if sas := credentials.get(STORAGE_SAS):
        return AzureSasCredential(sas.removeprefix("?"))
    return WorkloadIdentity()


def _account_name(queue: QueueSettings, credentials: Credentials) -> str:
    """The name that a key signs with: Azure's hosts begin with it, an emulator's path is it, and any other URL does not tell it."""
    url = urlsplit(_account_url(queue, credentials))
    known = credentials.get(STORAGE_ACCOUNT) or ""
    host = AZURE_HOST.match(url.hostname or "")
    name = host[1] if host else url.path.strip("/") or known
    if not name or "://" in name:
        raise SettingsError(
            f"{queue.place}: account is {queue.account or known}, which does not tell the account's name that"
            f" {STORAGE_KEY} is of; set {STORAGE_ACCOUNT} too (look at {credentials.where})"
        )
    return name


def _account_url(queue: QueueSettings, credentials: Credentials) -> str:
    account = queue.account or credentials.get(STORAGE_ACCOUNT)
    if not account:
        raise SettingsError(
            f"{queue.place}: {credentials.where} has no credentials; set {STORAGE_CONNECTION_STRING},"
            f" or {STORAGE_ACCOUNT} with {STORAGE_KEY} (or {STORAGE_SAS}, or a workload identity)"
        )
    return account if "://" in account else f"https://{account}.queue.core.windows.net"


def _same_account(client: QueueClient, queue: QueueSettings) -> None:
    """Two names for where the messages are, and they differ: guessing one would take messages of the wrong queue."""
    parts = urlsplit(client.url)
    account = parts.netloc.partition(".")[0]
    if "://" in queue.account:
        named = urlsplit(queue.account)
        same = parts.netloc == named.netloc and parts.path.startswith(f"{named.path}/")
    else:
        same = queue.account in ("", account)
    if not same:
        raise SettingsError(
            f"{queue.place}: account is {queue.account}, but {STORAGE_CONNECTION_STRING} is of {account}"
        )


def _check_key(key: str, variable: str, credentials: Credentials) -> None:
    try:
        base64.b64decode(key.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{variable} is no account key: those are base64 (look at {credentials.where})") from None


# --------------------------------------------------------------------------------------------------------- Service Bus


def _domain(namespace: str) -> str:
    host = namespace.lower().removeprefix("sb://").rstrip("/")
    return host if "." in host or not host else f"{host}.servicebus.windows.net"


def _parse_bus(text: str, queue: QueueSettings, credentials: Credentials) -> ServiceBusConnectionStringProperties:
    variable = f"{queue.place}: {BUS_CONNECTION_STRING}"
    try:
        parsed = parse_connection_string(text)
    except ValueError:
        raise SettingsError(
            f"{variable} is not a connection string of a Service Bus namespace (look at {credentials.where})"
        ) from None
    if parsed.entity_path and parsed.entity_path.lower() != queue.name.lower():
        raise SettingsError(
            f"{variable} is for the queue {parsed.entity_path} only (EntityPath); take the namespace's, or that queue's"
        )
    return parsed


def _bus_credential(
    queue: QueueSettings, credentials: Credentials
) -> AsyncTokenCredential | AzureNamedKeyCredential | AzureSasCredential:
    name, key = credentials.get(BUS_KEY_NAME), credentials.get(BUS_KEY)
    if name and key:
        return AzureNamedKeyCredential(name, key)
    if name or key:
        missing = BUS_KEY if name else BUS_KEY_NAME
        raise SettingsError(
            f"{queue.place}: {credentials.where} has no {missing}; an access key has a name and a value"
        )
    if sas := credentials.get(BUS_SAS):
        return AzureSasCredential(sas)
    return WorkloadIdentity()
