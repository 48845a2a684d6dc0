"""The way out for every URL that a message brings: held to the administrator's rules (docs/security.md), which the environment holds.

What the administrator himself named goes another way: the account of a connection string, listed containers and buckets, Entra, the
place of the checkpoints, the API server.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from vott_guard.client import GuardedSession
from vott_guard.rules import RefusedError, Rules
from vott_trainer.errors import AddressRefusedError, InvalidParametersError

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds between two reads


class Session(GuardedSession):
    """A guarded session with the rules of this process' environment; `seconds` are for a request with its whole answer.

    Raises:
        InvalidParametersError: the environment's rules can't be read.
    """

    def __init__(self, seconds: float, workers: int = 10) -> None:
        super().__init__(rules(), seconds=seconds, workers=workers)
        self.seconds = seconds


def rules(environment: Mapping[str, str] | None = None) -> Rules:
    """Return the administrator's rules.

    Raises:
        InvalidParametersError: a variable is not what it should be.
    """
    try:
        return Rules.from_environment(os.environ if environment is None else environment)
    except ValueError as error:
        raise InvalidParametersError(f"{error}. Correct `outgoing` in the chart's values.") from error


@contextlib.contextmanager
def refusal_of(what: str) -> Iterator[None]:
    """Say of a refused address what it was needed for: `what` begins the sentence.

    Raises:
        AddressRefusedError: the rules do not allow an address.
    """
    try:
        yield
    except RefusedError as error:
        raise AddressRefusedError(f"{what}: {error}") from error


def check(url: str, what: str, own: Rules | None = None) -> None:
    """Check what a URL itself tells.

    Raises:
        AddressRefusedError: the rules do not allow it.
    """
    with refusal_of(what):
        (own or rules()).check_url(url)


def look_up(url: str, what: str) -> None:
    """Check a URL and what its host's name leads to now: better refused at once than after hours of training.

    A name that can't be looked up passes: each request asks anew, and is checked again.

    Raises:
        AddressRefusedError: the rules do not allow it.
    """
    own, parts = rules(), urlsplit(url)
    with refusal_of(what):
        own.check_url(url)
        for address in _addresses(parts.hostname or ""):
            own.check_address(parts.hostname or "", address)


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []
