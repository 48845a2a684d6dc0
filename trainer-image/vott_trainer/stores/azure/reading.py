"""Requests that read blobs of listed containers: with a short-lived SAS of the account's key, or a token of the workload identity."""

import threading
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from vott_trainer.http.fetch import FetchError, OwnIdentityError
from vott_trainer.http.signing import SignedRequest
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.azure.account_key import account_of, split_path
from vott_trainer.stores.azure.workload_identity import SCOPE, credential_of, has_workload_identity, refusal
from vott_trainer.stores.object_names import is_plain_path

VALID = timedelta(hours=2)  # of a SAS; a download takes at most one
API_VERSION = "2021-12-02"  # of Azure's blob service; one is required with a token


class AccountReader:
    """Reads the account of the connection string."""

    def __init__(self, access: StorageAccess) -> None:
        self._access = access

    def opens(self, url: str) -> bool:
        """Whether a URL, without query, names a blob in a listed container of the account."""
        if not self._access.connection_string:
            return False
        container, blob = split_path(url, self._account)
        return bool(blob) and self._access.allows_container(container)

    def sign(self, url: str) -> SignedRequest:
        """Return the request with a SAS for this blob alone."""
        container, blob = split_path(url, self._account)
        account = urlsplit(self._account.url)
        base = account._replace(query="").geturl().rstrip("/")
        return SignedRequest(f"{base}/{quote(container)}/{quote(blob)}?{account.query or self._sas(container, blob)}")

    @cached_property
    def _account(self) -> BlobServiceClient:
        return account_of(self._access.connection_string)

    def _sas(self, container: str, blob: str) -> str:
        return generate_blob_sas(
            str(self._account.account_name),
            container,
            blob,
            account_key=self._account.credential.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + VALID,
        )


class TokenReader:
    """Reads the containers that are listed by URL, with the pod's workload identity."""

    def __init__(self, access: StorageAccess) -> None:
        self._access, self._lock = access, threading.Lock()
        self._credential: Any = None

    def opens(self, url: str) -> bool:
        """Whether a URL, without query, is below a listed one."""
        return is_plain_path(unquote(urlsplit(url).path).strip("/")) and self._access.allows_url(url)

    def sign(self, url: str) -> SignedRequest:
        """Return the request with a token."""
        return SignedRequest(url, {"Authorization": f"Bearer {self._token()}", "x-ms-version": API_VERSION})

    def _token(self) -> str:
        if not has_workload_identity(self._access.environment):
            raise OwnIdentityError("this pod has no workload identity", transient=False)
        try:
            with self._lock:  # the credential keeps its token; one request for a new one suffices
                self._credential = self._credential or credential_of(self._access.environment)
                return str(self._credential.get_token(SCOPE).token)
        except ClientAuthenticationError as error:
            raise OwnIdentityError(
                f"the trainer's own identity gets no token: {refusal(error)}", transient=False
            ) from error
        except AzureError as error:
            raise FetchError("Microsoft Entra does not answer", transient=True) from error
