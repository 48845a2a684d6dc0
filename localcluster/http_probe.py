"""HTTP readiness probe."""

import http.client
import ssl
import urllib.error
import urllib.request
from pathlib import Path

_TIMEOUT_SECONDS = 2


def answers(url: str, authority: Path | None = None, accept: frozenset[int] = frozenset({200})) -> bool:
    """Whether a GET returns one of the accepted status codes; https is verified with the authority's certificate."""
    context = ssl.create_default_context(cafile=str(authority)) if url.startswith("https") else None
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler({})
    ]  # these servers are never behind a proxy
    if context:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=_TIMEOUT_SECONDS) as response:
            return response.status in accept
    except urllib.error.HTTPError as error:
        return error.code in accept
    except (OSError, http.client.HTTPException):
        return False
