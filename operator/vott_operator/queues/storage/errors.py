"""What Azure Storage's refusals mean, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceNotFoundError,
)

from vott_operator.errors import LostMessageError, SettingsError, SourceUnavailableError
from vott_operator.queues.credentials import Credentials

LOST = ("MessageNotFound", "PopReceiptMismatch")
"""Error codes of the service for a message that is settled, or that somebody else has received since."""

REMEDIES = {
    "AuthenticationFailed": "the key or the SAS in {where} is wrong, revoked or expired: put a valid one there",
    "NoAuthenticationInformation": "there is no key and no SAS in {where}: put one there",
    "InvalidAuthenticationInfo": "the token was not accepted: check tenant and account, or put a key or a SAS in {where}",
    "AuthorizationPermissionMismatch": (
        "the SAS or the identity may not do this: a SAS needs the permissions read, add, create, update and process of the"
        " account's queues, an identity the role Storage Queue Data Contributor"
    ),
    "AuthorizationResourceTypeMismatch": "the account SAS must allow the resource types container and object",
    "AuthorizationServiceMismatch": "the account SAS must allow the service queue",
    "AuthorizationSourceIPMismatch": "the SAS is not for the address that the operator comes from",
    "AuthorizationFailure": "the account refuses this: look at its firewall, and at whether shared keys are allowed",
    "KeyBasedAuthenticationNotPermitted": "the account allows no shared keys: use a workload identity",
}


class NoQueueError(SourceUnavailableError):
    """The queue is not there (any more)."""


class UnreadableError(SourceUnavailableError):
    """The service or its client stumbled over what it should deliver."""


@contextmanager
def storage_errors(place: str, credentials: Credentials) -> Iterator[None]:
    """Turn the client's errors into ours: LostMessageError, or SourceUnavailableError with `place` and the remedy."""
    try:
        yield
    except SettingsError as error:  # a Secret that is wrong just now may be right in a moment
        raise SourceUnavailableError(str(error)) from None
    except AzureError as error:
        raise _translated(error, place, credentials) from None


def _translated(error: AzureError, place: str, credentials: Credentials) -> SourceUnavailableError | LostMessageError:
    code = _code(error)
    if code in LOST:
        return LostMessageError(f"{place}: the message is no longer in hand")
    if isinstance(error, ResourceNotFoundError):
        return NoQueueError(f"{place}: there is no such queue")
    if remedy := REMEDIES.get(code):
        return SourceUnavailableError(f"{place}: refused ({code}): {remedy.format(where=credentials.where)}")
    text = f"{place}: {_first_line(error)}"
    if remedy := _by_status(error):
        return SourceUnavailableError(f"{text}; {remedy.format(where=credentials.where)}")
    if isinstance(error, DecodeError) or (isinstance(error, HttpResponseError) and error.status_code == 500):
        return UnreadableError(text)
    return SourceUnavailableError(text)


def _code(error: AzureError) -> str:
    """The service's error code: of the client's enumeration, or a word that this does not know."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _by_status(error: AzureError) -> str | None:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in (401, 403):
        return REMEDIES["AuthenticationFailed"]
    if isinstance(error, ClientAuthenticationError) and status is None:  # no answer of the account: there was no token
        return "put AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN in {where}, or give the pod a workload identity"
    return None


def _first_line(error: AzureError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
