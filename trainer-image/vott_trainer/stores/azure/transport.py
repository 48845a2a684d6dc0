"""Transport of Azure's client for a message's link: held to the administrator's rules, and with bounded responses."""

from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport

from vott_guard.client import read
from vott_trainer.http.session import Session

SECONDS = 300.0  # for one request: a block of at most 64 MiB
MAX_RESPONSE_BYTES = 1 << 20  # of anything but a blob
MAX_PART_BYTES = 64 << 20  # of a blob in one response; Azure's client requests less


class _Session(Session):
    """Azure's client keeps every response in memory: read it here, up to its limit."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        with super().send(request, **{**options, "stream": True}) as response:
            limit = MAX_PART_BYTES if options.get("stream") and response.ok else MAX_RESPONSE_BYTES
            response._content = read(response, limit)  # where requests itself keeps it
            return response


def guarded_transport() -> RequestsTransport:
    """Return a transport that the administrator's rules apply to; it takes no proxy from the environment."""
    session = _Session(SECONDS)
    return RequestsTransport(session=session, session_owner=False, connection_verify=session.verify)
