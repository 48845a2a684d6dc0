"""How Azure's client reaches a container that a message names: through the guarded session, and with answers of a bounded size."""

from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport

from vott_guard.client import read
from vott_trainer.http.outgoing import Session

SECONDS = 300.0  # for one request: a block of at most 64 MiB
LARGEST_ANSWER = 1 << 20  # bytes, of what is no part of a blob
LARGEST_PART = 64 << 20  # of a blob, in one answer; Azure's client asks for less


class _Session(Session):
    """Azure's client keeps every answer in memory: here each is read before, up to its limit."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        with super().send(request, **{**options, "stream": True}) as response:
            limit = LARGEST_PART if options.get("stream") and response.ok else LARGEST_ANSWER
            response._content = read(response, limit)  # where requests itself keeps it
            return response


def guarded_transport() -> RequestsTransport:
    """Return a transport that goes only where the administrator's rules allow, and takes no proxy from the environment."""
    session = _Session(SECONDS)
    return RequestsTransport(session=session, session_owner=False, connection_verify=session.verify)
