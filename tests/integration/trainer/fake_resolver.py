"""A DNS resolver that answers as the sender of a message would like."""

import socket
from typing import Any


class FakeResolver:
    """A stand-in for `socket.getaddrinfo`; it asks the real one about names that are not in `answers`.

    Attributes:
        answers: by name, the addresses for each lookup in turn; the last ones are repeated.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int | None, *args: Any, **options: Any) -> list[object]:
        answers = self.answers.get(host.rstrip("."))
        if answers is None:
            return list(self._real(host, port, *args, **options))
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for address in addresses for found in self._real(address, port, type=socket.SOCK_STREAM)]
