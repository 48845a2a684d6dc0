"""Requests to the administrator's own stores, opened by what a message's link does not carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class SignedRequest:
    """What to request in place of a URL.

    Attributes:
        url: with a signature, if the store takes one there.
        headers: with a token, if the store takes one.
        authorities: file with the trusted certificates; empty for those of other requests.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    authorities: str = ""


class Signer(Protocol):
    """Signs requests to the stores that the administrator has listed, and no others. Thread-safe."""

    def __call__(self, url: str) -> SignedRequest | None:
        """Return the request that reads `url`; None if the administrator's identities must not be used for it.

        Raises:
            FetchError: they can't be used.
        """
