"""The administrator's rules for the URLs of messages (docs/security.md), from the environment.

They do not apply to what the administrator configured: the account of a connection string, listed containers and buckets,
Microsoft Entra, the checkpoint location, the API server.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from vott_guard.rules import RefusedError, Rules
from vott_trainer.errors import AddressRefusedError, InvalidParametersError


def read_rules(environment: Mapping[str, str] | None = None) -> Rules:
    """Return the administrator's rules; by default those of this process's environment.

    Raises:
        InvalidParametersError: a variable has an invalid value.
    """
    try:
        return Rules.from_environment(os.environ if environment is None else environment)
    except ValueError as error:
        raise InvalidParametersError(
            f"{error}. The administrator can correct it (`outgoing` in the chart's values)."
        ) from error


@contextlib.contextmanager
def explained_refusal(what: str) -> Iterator[None]:
    """Name what the refused address was needed for; `what` begins the sentence.

    Raises:
        AddressRefusedError: the rules refused an address.
    """
    try:
        yield
    except RefusedError as error:
        raise AddressRefusedError(f"{what}: {error}") from error


def check_url(url: str, what: str, rules: Rules | None = None) -> None:
    """Check a URL without resolving its host.

    Raises:
        AddressRefusedError: the rules refuse it.
    """
    with explained_refusal(what):
        (rules or read_rules()).check_url(url)


def check_resolved(url: str, what: str) -> None:
    """Check a URL and the addresses of its host, to fail before hours of training rather than after.

    A host that can't be resolved passes: each request resolves and checks again.

    Raises:
        AddressRefusedError: the rules refuse it.
    """
    rules, host = read_rules(), urlsplit(url).hostname or ""
    with explained_refusal(what):
        rules.check_url(url)
        for address in _addresses(host):
            rules.check_address(host, address)


def _addresses(host: str) -> list[str]:
    try:
        return [str(result[4][0]) for result in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []
