"""The HTTP session for every URL of a message, held to the administrator's rules."""

from collections.abc import Mapping

import requests

from vott_guard.client import GuardedSession
from vott_guard.rules import ANY_ADDRESS
from vott_trainer.http.address_rules import read_rules
from vott_trainer.http.signing import SignedRequest, Signer

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds between two reads


class Session(GuardedSession):
    """A guarded session with the rules of this process's environment; `seconds` limit a request with its whole response.

    Args:
        signer: signs requests to the administrator's own stores, to which the rules do not apply.

    Raises:
        InvalidParametersError: the environment's rules can't be read.
    """

    def __init__(self, seconds: float, workers: int = 10, signer: Signer | None = None) -> None:
        super().__init__(read_rules(), seconds=seconds, workers=workers)
        self.seconds = seconds
        self._signer = signer
        self._own = GuardedSession(ANY_ADDRESS, seconds=seconds, workers=workers) if signer else None

    def signed(self, url: str) -> SignedRequest | None:
        """Return the request to the administrator's own store; None for any other URL."""
        return self._signer(url) if self._signer else None

    def read(self, url: str, headers: Mapping[str, str], signed: SignedRequest | None) -> requests.Response:
        """Request a URL, to stream the response. A signed request follows no redirect, which would be given its token."""
        if not (self._own and signed):
            return self.get(url, stream=True, timeout=TIMEOUT, headers=headers)
        return self._own.get(
            signed.url,
            headers={**headers, **signed.headers},
            stream=True,
            timeout=TIMEOUT,
            allow_redirects=False,
            verify=signed.authorities or self._own.verify,
        )

    def close(self) -> None:
        """Close all connections."""
        super().close()
        if self._own:
            self._own.close()
