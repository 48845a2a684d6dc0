"""Create the Azure Storage Queue client from the configured credentials.

Error texts name the queue and the variable, never a value.
"""

import base64
import binascii
import re
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AzureSasCredential
from azure.storage.queue.aio import QueueClient

from vott_messaging.errors import SettingsError
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.workload_identity import WorkloadIdentity
from vott_messaging.settings.queue import QueueSettings

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
KEY = "AZURE_STORAGE_KEY"
SAS = "AZURE_STORAGE_SAS_TOKEN"

AZURE_HOST = re.compile(r"([a-z0-9]+)[-.a-z0-9]*\.queue\.(core|storage)\.")
"""Matches private links, DNS zones and IPv6 too: https://learn.microsoft.com/azure/storage/common/storage-account-overview"""
OPTIONS: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 30, "retry_total": 0}
"""The caller retries, with a backoff that a shutdown can interrupt."""


def storage_client(queue: QueueSettings, credentials: Credentials, name: str) -> QueueClient:
    """A client for the queue `name` in the storage account of `queue`.

    Raises SettingsError when the credentials are incomplete, malformed, or for another account.
    """
    if text := credentials.get(CONNECTION_STRING):
        client = _from_connection_string(text, name, queue, credentials)
        _check_account(client, queue)
        return client
    credential = _credential(queue, credentials)
    return QueueClient(_account_url(queue, credentials), name, credential=credential, **OPTIONS)


def _from_connection_string(text: str, name: str, queue: QueueSettings, credentials: Credentials) -> QueueClient:
    try:
        client = QueueClient.from_connection_string(text, name, **OPTIONS)
    except ValueError:
        raise SettingsError(
            f"{queue.place}: {CONNECTION_STRING} is not a storage account's connection string with an AccountKey"
            f" or a SharedAccessSignature (check {credentials.where})"
        ) from None
    if key := re.search(r"(?:^|;)\s*AccountKey=([^;]*)", text, re.IGNORECASE):
        _check_key(key[1], f"{queue.place}: the AccountKey in {CONNECTION_STRING}", credentials)
    return client


def _credential(queue: QueueSettings, credentials: Credentials) -> Any:
    if key := credentials.get(KEY):
        _check_key(key, f"{queue.place}: {KEY}", credentials)
        return {"account_name": _account_name(queue, credentials), "account_key": key}
    if sas := credentials.get(SAS):
        return AzureSasCredential(sas.removeprefix("?"))
    return WorkloadIdentity()


def _account_name(queue: QueueSettings, credentials: Credentials) -> str:
    """The account's name, which signs requests together with the key.

    An Azure host starts with it and an emulator's path is it; for any other URL the variable has to name it.
    """
    url = urlsplit(_account_url(queue, credentials))
    configured = credentials.get(ACCOUNT) or ""
    host = AZURE_HOST.match(url.hostname or "")
    name = host[1] if host else url.path.strip("/") or configured
    if not name or "://" in name:
        raise SettingsError(
            f"{queue.place}: account is {queue.account or configured}, which doesn't contain the account's name for"
            f" {KEY}; set {ACCOUNT} too (check {credentials.where})"
        )
    return name


def _account_url(queue: QueueSettings, credentials: Credentials) -> str:
    account = queue.account or credentials.get(ACCOUNT)
    if not account:
        raise SettingsError(
            f"{queue.place}: {credentials.where} has no credentials; set {CONNECTION_STRING},"
            f" or {ACCOUNT} with {KEY} (or {SAS}, or a workload identity)"
        )
    return account if "://" in account else f"https://{account}.queue.core.windows.net"


def _check_account(client: QueueClient, queue: QueueSettings) -> None:
    """Reject settings and connection string that name different accounts: a guess could consume the wrong queue."""
    parts = urlsplit(client.url)
    account = parts.netloc.partition(".")[0]
    if "://" in queue.account:
        configured = urlsplit(queue.account)
        matches = parts.netloc == configured.netloc and parts.path.startswith(f"{configured.path}/")
    else:
        matches = queue.account in ("", account)
    if not matches:
        raise SettingsError(f"{queue.place}: account is {queue.account}, but {CONNECTION_STRING} is for {account}")


def _check_key(key: str, variable: str, credentials: Credentials) -> None:
    try:
        base64.b64decode(key.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{variable} is not an account key: it is not base64 (check {credentials.where})") from None
