"""The HTTP session for every URL of a message, held to the administrator's rules."""

from vott_guard.client import GuardedSession
from vott_trainer.http.address_rules import read_rules

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds between two reads


class Session(GuardedSession):
    """A guarded session with the rules of this process's environment; `seconds` limit a request with its whole response.

    Raises:
        InvalidParametersError: the environment's rules can't be read.
    """

    def __init__(self, seconds: float, workers: int = 10) -> None:
        super().__init__(read_rules(), seconds=seconds, workers=workers)
        self.seconds = seconds
