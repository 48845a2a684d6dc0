"""Translate Azure Service Bus's errors into ours, with a remedy for the administrator."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError
from azure.servicebus.exceptions import (
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from vott_messaging.errors import SourceUnavailableError
from vott_messaging.queues.credential_variables import Credentials

SECRET = re.compile(r"(sig|SharedAccessKey|SharedAccessSignature)=[^&;\s]+", re.IGNORECASE)
MANAGEMENT_REFUSED = re.compile(r"management operation error|failed to open mgmt link", re.IGNORECASE)
"""The client's only hint that a queue to browse does not exist."""


@contextmanager
def service_bus_errors(place: str, credentials: Credentials) -> Iterator[None]:
    """Raise the client's errors as SourceUnavailableError with `place` and the remedy."""
    try:
        yield
    except (AzureError, OSError) as error:
        raise SourceUnavailableError(f"{place}: {_cause(error, credentials)}") from None


def _cause(error: Exception, credentials: Credentials) -> str:
    if isinstance(error, MessagingEntityNotFoundError):
        return "no such queue in this namespace; create it, or correct its name in the settings"
    if isinstance(error, ServiceBusAuthenticationError | ServiceBusAuthorizationError):
        return (
            f"access denied: the key or SAS in {credentials.where} is wrong or lacks the Listen right on this queue;"
            " an identity needs the role Azure Service Bus Data Receiver. Only `vott-train queue requeue` also needs"
            " the Send right, or the role Azure Service Bus Data Sender"
        )
    if isinstance(error, TimeoutError):
        return "no answer; check the namespace's name, and that port 5671 is reachable"
    lines = str(error).splitlines()
    if MANAGEMENT_REFUSED.search(str(error)):
        return "Service Bus refused to browse the queue; does it exist? Create it, or correct its name in the settings"
    return SECRET.sub(r"\1=…", lines[0].strip()) if lines else type(error).__name__
