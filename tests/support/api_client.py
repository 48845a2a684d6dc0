"""A plain HTTP client of the API server that authenticates with one token, and a probe of everything that the token permits."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from demo.kubectl import Kubectl
from tests.support.operator_harness import RELEASE, OperatorHarness

PARALLEL_REQUESTS = 8
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
MISSING_NAME = "another"  # no object has this name
RESOURCE_NAMES = {
    "leases.coordination.k8s.io": RELEASE,
    "rolebindings.rbac.authorization.k8s.io": f"{RELEASE}-operator",
}  # permissions restricted to one object (resourceNames)
WRITE_METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
# Every authenticated user may create these.
SELF_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


def account_token(harness: OperatorHarness, account: str) -> str:
    """Create a token of the ServiceAccount NAMESPACE:NAME that is not bound to a pod."""
    namespace, _, name = account.partition(":")
    return Kubectl(harness.kubectl.kubeconfig, namespace)("create", "token", name).strip()


def retry_throttled(send: Callable[[], requests.Response]) -> requests.Response:
    """Call `send`, and again after each 429 once its Retry-After has passed."""
    while (answer := send()).status_code == requests.codes.too_many_requests:
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    return answer


@dataclass(frozen=True)
class Resource:
    """A resource or subresource of the API server."""

    base: str
    group: str
    name: str
    namespaced: bool

    @property
    def title(self) -> str:
        """The name as `kubectl auth can-i --list` writes it."""
        plural, slash, subresource = self.name.partition("/")
        return f"{plural}{'.' if self.group else ''}{self.group}{slash}{subresource}"

    def path(self, namespace: str, name: str = "") -> str:
        """Path of the collection, or of the object with this name."""
        plural, slash, subresource = self.name.partition("/")
        scope = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.base}{scope}/{plural}" + (f"/{name}{slash}{subresource}" if name else "")


class ApiClient:
    """Sends requests to the harness's API server with a bearer token."""

    def __init__(self, harness: OperatorHarness, token: str) -> None:
        self._server = harness.control_plane.server
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(harness.authority())
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.mount("https://", HTTPAdapter(pool_maxsize=PARALLEL_REQUESTS))

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, again after a 429; a PATCH is a merge patch."""
        headers = (MERGE_PATCH if method == "PATCH" else {}) | dict(headers or {})
        data = None if body is None else json.dumps(body)
        url = f"{self._server}/{path}"
        return retry_throttled(
            lambda: self._session.request(method, url, params=dict(query or {}), data=data, headers=headers, timeout=30)
        )

    def permitted(self, namespaces: Sequence[str]) -> dict[str, dict[str, set[str]]]:
        """Try every verb on every resource; return what was permitted: namespace ("" for cluster scope) to resource to verbs."""
        attempts = [attempt for resource in self._resources() for attempt in _attempts(resource, namespaces)]
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            answers = list(pool.map(self._is_permitted, attempts))
        permitted: dict[str, dict[str, set[str]]] = {namespace: {} for namespace in [*namespaces, ""]}
        for attempt, is_permitted in zip(attempts, answers, strict=True):
            if is_permitted:
                permitted[attempt.namespace].setdefault(attempt.title, set()).add(attempt.verb)
        return permitted

    def _is_permitted(self, attempt: "Attempt") -> bool:
        body: Any = {} if attempt.method in ("POST", "PUT", "PATCH") else None
        answer = self.send(attempt.method, attempt.path, body, query=attempt.query)
        assert answer.status_code != 401, answer.text
        return not (answer.status_code == 403 and " cannot " in answer.text)

    def _resources(self) -> Iterator[Resource]:
        """Every resource that the API server serves, and trainingjobs/finalizers, which is a permission without a path."""
        yield Resource("apis/vott.dev/v1alpha1", "vott.dev", "trainingjobs/finalizers", namespaced=True)
        groups = self.send("GET", "apis").json()["groups"]
        versions = [(f"apis/{item['groupVersion']}", group["name"]) for group in groups for item in group["versions"]]
        for base, group in [("api/v1", ""), *versions]:
            for item in self.send("GET", base).json()["resources"]:
                if item["name"] not in SELF_REVIEWS:
                    yield Resource(base, group, item["name"], item["namespaced"])


@dataclass(frozen=True)
class Attempt:
    """A request, and the permission that it needs."""

    title: str
    namespace: str
    verb: str
    method: str
    path: str
    query: dict[str, str]


def _attempts(resource: Resource, namespaces: Sequence[str]) -> Iterator[Attempt]:
    for namespace in namespaces if resource.namespaced else [""]:
        yield from _attempts_on_object(resource, namespace, resource.title, MISSING_NAME)
        if name := RESOURCE_NAMES.get(resource.title):
            yield from _attempts_on_object(resource, namespace, f"{resource.title} {name}", name)
        if "/" not in resource.name:
            yield from _attempts_on_collection(resource, namespace)
    if resource.title == "namespaces":  # a Role permits what concerns its own namespace
        for namespace in namespaces:
            yield from _attempts_on_object(resource, namespace, resource.title, namespace)


def _attempts_on_object(resource: Resource, namespace: str, title: str, name: str) -> Iterator[Attempt]:
    path = resource.path(namespace, name)
    yield Attempt(title, namespace, "get", "GET", path, {})
    for verb, method in WRITE_METHODS.items():
        if verb != "create" or "/" in resource.name:
            yield Attempt(title, namespace, verb, method, path, {"dryRun": "All"})


def _attempts_on_collection(resource: Resource, namespace: str) -> Iterator[Attempt]:
    path, title = resource.path(namespace), resource.title
    yield Attempt(title, namespace, "list", "GET", path, {"limit": "1"})
    yield Attempt(title, namespace, "watch", "GET", path, {"watch": "true", "timeoutSeconds": "1"})
    yield Attempt(title, namespace, "create", "POST", path, {"dryRun": "All"})
    yield Attempt(title, namespace, "deletecollection", "DELETE", path, {"dryRun": "All"})
