"""Microsoft Entra tokens of the pod's workload identity."""

import re
import time
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import DefaultAzureCredential

RENEW_BEFORE_SECONDS = 300


class WorkloadIdentity:
    """An AsyncTokenCredential that caches DefaultAzureCredential's tokens and keeps no connection open between them."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[Any, ...], AccessToken] = {}

    async def get_token(self, *scopes: str, claims: str | None = None, **kwargs: Any) -> AccessToken:
        """See AsyncTokenCredential."""
        key = (scopes, *sorted(kwargs.items()))
        token = self._tokens.get(key)
        if token is None or claims or token.expires_on < time.time() + RENEW_BEFORE_SECONDS:
            async with DefaultAzureCredential() as credential:
                token = self._tokens[key] = await _request_token(credential, *scopes, claims=claims, **kwargs)
        return token

    async def close(self) -> None:
        """See AsyncTokenCredential."""

    async def __aenter__(self) -> "WorkloadIdentity":
        return self

    async def __aexit__(self, *_: object) -> None:
        """See AsyncTokenCredential."""


async def _request_token(credential: DefaultAzureCredential, *scopes: str, **kwargs: Any) -> AccessToken:
    try:
        return await credential.get_token(*scopes, **kwargs)
    except ClientAuthenticationError as error:
        # The client reports a paragraph for each kind of credential; only a pod's matters here.
        cause = re.search(r"WorkloadIdentityCredential: (.*)", str(error))
        raise ClientAuthenticationError(
            f"no token for the workload identity: {cause[1] if cause else error.message}"
        ) from None
