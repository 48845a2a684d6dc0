"""HTTP requests to the Kubernetes API: connections, authentication, paging, and statuses mapped to `errors.py`.

`kubernetes.aio` provides configuration, authentication, TLS and pooling; bodies are plain JSON.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from kubernetes.aio import client, config

from vott_operator.api import constants as c
from vott_operator.cluster.request_metrics import counted
from vott_operator.errors import AlreadyExistsError, ClusterError, InvalidObjectError, NotFoundError, UnavailableError

CONNECT_SECONDS = 5
REQUEST_SECONDS = 30
PAGE_SIZE = 25
"""Objects of one list request. A page's memory is its text and all that is parsed from it: some 35 MB if each holds 64 KB of small values."""
METADATA_PAGE_SIZE = 500
JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""A list's answer without spec and status."""
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
IN_A_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()

Body = dict[str, Any]


class RestClient:
    """Connections to one API server. Open with `connect`, end with `close`."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> Self:
        """Connect as the pod's service account or by the kubeconfig. Raises ClusterError when there is neither."""
        configuration = client.Configuration()
        # aiohttp would otherwise read ~/.netrc before each request, in a thread.
        configuration.client_session_kwargs = {"trust_env": False}
        kubeconfig = os.environ.get("KUBECONFIG")
        try:
            if IN_A_POD and not kubeconfig:
                config.load_incluster_config(configuration)
            else:
                # The library reads KUBECONFIG only when it is imported.
                await config.load_kube_config(kubeconfig, client_configuration=configuration)
        except config.ConfigException as error:
            raise ClusterError(f"no cluster is configured: {error}; set KUBECONFIG, or run in a pod") from None
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    @counted
    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | list[Body] | None = None,
        content_type: str = JSON,
        query: str = "",
        accept: str = JSON,
    ) -> Body:
        """Send one request and return the JSON of the response. Raises ClusterError."""
        query = "" if method == "GET" else f"?fieldManager={c.FIELD_MANAGER}{query}"
        headers = {"Accept": accept, "Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=CONNECT_SECONDS)
        try:
            await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            url = f"{self._api.configuration.host}/{path}{query}"
            response = await self._api.call_api(method, url, headers, body, _request_timeout=timeout)
            data = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError, config.ConfigException) as error:
            raise UnavailableError(
                f"{method} {path}: the Kubernetes API did not answer ({error or type(error).__name__})"
            ) from error
        if not 200 <= response.status < 300:
            raise error_from_status(f"{method} {path}", response.status, data)
        try:
            result: Body = json.loads(data)
        except ValueError:
            raise ClusterError(f"{method} {path}: the answer is not JSON; is that the Kubernetes API?") from None
        return result

    async def list_pages(self, path: str, query: str = "", *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All objects of a collection, requested page by page; with `metadata_only`, without spec and status."""
        limit, accept = (METADATA_PAGE_SIZE, METADATA) if metadata_only else (PAGE_SIZE, JSON)
        token = ""  # nosec B105 # the first page
        while True:
            continuation = f"&continue={quote(token)}" if token else ""
            page = await self.send("GET", f"{path}?limit={limit}&{query}{continuation}", accept=accept)
            for item in page["items"] or ():  # null for no metadata
                yield item
            token = page["metadata"].get("continue") or ""
            if not token:
                return


def error_from_status(request: str, status: int, data: bytes) -> ClusterError:
    """The error for a response without success. `data` is its body, usually a metav1.Status."""
    try:
        answer = json.loads(data)
        text, reason = str(answer.get("message", "")), str(answer.get("reason", ""))
    except (ValueError, AttributeError):
        text, reason = data[:200].decode(errors="replace"), ""
    message = f"{request}: {status} {text}"
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExistsError(message, status, text)
    if status == 429 or status >= 500:
        return UnavailableError(message, status, text)
    classes = {400: InvalidObjectError, 404: NotFoundError, 422: InvalidObjectError}
    return classes.get(status, ClusterError)(message, status, text)
