"""Counts the requests to the Kubernetes API in the metrics, by verb, resource and status, without names."""

import re
import time
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from vott_operator import metrics
from vott_operator.errors import ClusterError

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
PATH = re.compile(
    r"apis?/(?:[\w.]+/)?\w+/namespaces/[^/]+/(?P<resource>\w+)(?:/(?P<name>[^/?]+)(?:/(?P<subresource>\w+))?)?(?:\?|$)"
)


def request_labels(method: str, path: str) -> tuple[str, str]:
    """Verb, as RBAC names it, and resource, with its subresource, of a request."""
    found = PATH.match(path)
    if found is None:
        return method.lower(), "other"
    resource = "/".join(part for part in (found["resource"], found["subresource"]) if part)
    verbs = {"GET": "get" if found["name"] else "list", "POST": "create", "PUT": "update"}
    return verbs.get(method, method.lower()), resource


def counted(
    send: Callable[Concatenate[S, str, str, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, str, str, P], Coroutine[Any, Any, T]]:
    """Count the requests of a method `send(self, method, path, ...)` that raises ClusterError."""

    async def counted_send(self: S, method: str, path: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
        verb, resource = request_labels(method, path)
        started, code = time.monotonic(), "none"
        try:
            answer = await send(self, method, path, *args, **kwargs)
            code = "2xx"
        except ClusterError as error:
            code = str(error.status or "none")
            raise
        else:
            return answer
        finally:
            metrics.API_REQUESTS.labels(verb, resource, code).inc()
            metrics.API_DURATION.labels(verb, resource).observe(time.monotonic() - started)

    return update_wrapper(counted_send, send)
