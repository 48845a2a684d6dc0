"""Translate Azure Storage's errors into ours, with a remedy for the administrator."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceNotFoundError,
)

from vott_messaging.errors import LostMessageError, SettingsError, SourceUnavailableError
from vott_messaging.queues.credential_variables import Credentials

LOST = ("MessageNotFound", "PopReceiptMismatch")
"""The service's error codes for a message that was deleted, or received again since."""

REMEDIES = {
    "AuthenticationFailed": "the key or SAS in {where} is wrong, revoked or expired; replace it",
    "NoAuthenticationInformation": "{where} has neither a key nor a SAS; add one",
    "InvalidAuthenticationInfo": "the token was not accepted; check tenant and account, or put a key or SAS in {where}",
    "AuthorizationPermissionMismatch": (
        "the SAS or the identity lacks permission: a SAS needs read, add, create, update and process on the account's"
        " queues, an identity the role Storage Queue Data Contributor"
    ),
    "AuthorizationResourceTypeMismatch": "the account SAS must allow the resource types container and object",
    "AuthorizationServiceMismatch": "the account SAS must allow the service queue",
    "AuthorizationSourceIPMismatch": "the SAS doesn't allow the operator's IP address",
    "AuthorizationFailure": "check the account's firewall, and whether it allows shared keys",
    "KeyBasedAuthenticationNotPermitted": "the account doesn't allow shared keys; use a workload identity",
}


class NoQueueError(SourceUnavailableError):
    """The queue does not exist (any more)."""


class UnreadableError(SourceUnavailableError):
    """The service or its client failed on the content of a message."""


@contextmanager
def storage_errors(place: str, credentials: Credentials) -> Iterator[None]:
    """Raise the client's errors as LostMessageError, or as SourceUnavailableError with `place` and the remedy."""
    try:
        yield
    except SettingsError as error:  # temporary: the Secret may be corrected without a restart
        raise SourceUnavailableError(str(error)) from None
    except AzureError as error:
        raise _translated(error, place, credentials) from None


def _translated(error: AzureError, place: str, credentials: Credentials) -> SourceUnavailableError | LostMessageError:
    code = _code(error)
    if code in LOST:
        return LostMessageError(f"{place}: the lock on the message was lost")
    if isinstance(error, ResourceNotFoundError):
        return NoQueueError(f"{place}: the queue does not exist")
    if remedy := REMEDIES.get(code):
        return SourceUnavailableError(f"{place}: access denied ({code}): {remedy.format(where=credentials.where)}")
    text = f"{place}: {_first_line(error)}"
    if remedy := _remedy_by_status(error):
        return SourceUnavailableError(f"{text}; {remedy.format(where=credentials.where)}")
    if isinstance(error, DecodeError) or (isinstance(error, HttpResponseError) and error.status_code == 500):
        return UnreadableError(text)
    return SourceUnavailableError(text)


def _code(error: AzureError) -> str:
    """The service's error code, whether or not the client's enumeration has it."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _remedy_by_status(error: AzureError) -> str | None:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in (401, 403):
        return REMEDIES["AuthenticationFailed"]
    if isinstance(error, ClientAuthenticationError) and status is None:  # no response: there was no token
        return "put AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN in {where}, or give the pod a workload identity"
    return None


def _first_line(error: AzureError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
