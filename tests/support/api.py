"""The API server as it is seen with one token, asked over HTTP without a client's conveniences."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from demo.kubectl import Kubectl
from tests.support.operator_harness import RELEASE, OperatorHarness

AT_ONCE = 8
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
NAME = "another"  # of an object that there is not
NAMED = {"leases.coordination.k8s.io": RELEASE}  # rights that are held to one object
WRITING = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
# Whoever is authenticated may ask about himself.
ABOUT_ONESELF = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


def token(harness: OperatorHarness, account: str) -> str:
    """A token of the ServiceAccount NAMESPACE:NAME, bound to no pod."""
    namespace, _, name = account.partition(":")
    return Kubectl(harness.kubectl.kubeconfig, namespace)("create", "token", name).strip()


def pod_token(harness: OperatorHarness, pod: str) -> str:
    """A token of the trainer as the kubelet gets it for that pod."""
    uid = harness.kubectl.get("pod", pod)["metadata"]["uid"]
    bound = ["--bound-object-kind=Pod", f"--bound-object-name={pod}", f"--bound-object-uid={uid}"]
    return harness.kubectl("create", "token", f"{RELEASE}-trainer", *bound).strip()


@dataclass(frozen=True)
class Resource:
    """One of those that the API server knows, with its subresource."""

    base: str
    group: str
    name: str
    namespaced: bool

    @property
    def title(self) -> str:
        """As `kubectl auth can-i --list` writes it."""
        plural, slash, subresource = self.name.partition("/")
        return f"{plural}{'.' if self.group else ''}{self.group}{slash}{subresource}"

    def path(self, namespace: str, name: str = "") -> str:
        """Of all, or of the one of that name."""
        plural, slash, subresource = self.name.partition("/")
        space = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.base}{space}/{plural}" + (f"/{name}{slash}{subresource}" if name else "")


class API:
    """The harness's API server, with a token."""

    def __init__(self, harness: OperatorHarness, token: str) -> None:
        self._server = harness.control_plane.server
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(harness.authority())
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.mount("https://", HTTPAdapter(pool_maxsize=AT_ONCE))

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Ask, later when the API server has too much to do; a PATCH is a merge patch."""
        headers = (MERGE_PATCH if method == "PATCH" else {}) | dict(headers or {})
        data = None if body is None else json.dumps(body)
        url = f"{self._server}/{path}"
        while True:
            answer = self._session.request(
                method, url, params=dict(query or {}), data=data, headers=headers, timeout=30
            )
            if answer.status_code != requests.codes.too_many_requests:
                return answer
            time.sleep(float(answer.headers.get("Retry-After", 1)))

    def possible(self, namespaces: Sequence[str]) -> dict[str, dict[str, set[str]]]:
        """What is not refused when everything is tried: namespace (empty for what has none) to resource to verbs."""
        tries = [try_ for resource in self._resources() for try_ in _tries(resource, namespaces)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(self._is_possible, tries))
        found: dict[str, dict[str, set[str]]] = {namespace: {} for namespace in [*namespaces, ""]}
        for try_, is_possible in zip(tries, answers, strict=True):
            if is_possible:
                found[try_.namespace].setdefault(try_.title, set()).add(try_.verb)
        return found

    def _is_possible(self, try_: "Try") -> bool:
        body: Any = {} if try_.method in ("POST", "PUT", "PATCH") else None
        answer = self.send(try_.method, try_.path, body, query=try_.query)
        assert answer.status_code != 401, answer.text
        return not (answer.status_code == 403 and " cannot " in answer.text)

    def _resources(self) -> Iterator[Resource]:
        """Everything that the API server serves, and what is no path but a right all the same."""
        yield Resource("apis/vott.dev/v1alpha1", "vott.dev", "trainingjobs/finalizers", namespaced=True)
        groups = self.send("GET", "apis").json()["groups"]
        versions = [(f"apis/{item['groupVersion']}", group["name"]) for group in groups for item in group["versions"]]
        for base, group in [("api/v1", ""), *versions]:
            for item in self.send("GET", base).json()["resources"]:
                if item["name"] not in ABOUT_ONESELF:
                    yield Resource(base, group, item["name"], item["namespaced"])


@dataclass(frozen=True)
class Try:
    """One request, and what it would be the right for."""

    title: str
    namespace: str
    verb: str
    method: str
    path: str
    query: dict[str, str]


def _tries(resource: Resource, namespaces: Sequence[str]) -> Iterator[Try]:
    for namespace in namespaces if resource.namespaced else [""]:
        yield from _of_one(resource, namespace, resource.title, NAME)
        if name := NAMED.get(resource.title):
            yield from _of_one(resource, namespace, f"{resource.title} {name}", name)
        if "/" not in resource.name:
            yield from _of_all(resource, namespace)


def _of_one(resource: Resource, namespace: str, title: str, name: str) -> Iterator[Try]:
    path = resource.path(namespace, name)
    yield Try(title, namespace, "get", "GET", path, {})
    for verb, method in WRITING.items():
        if verb != "create" or "/" in resource.name:
            yield Try(title, namespace, verb, method, path, {"dryRun": "All"})


def _of_all(resource: Resource, namespace: str) -> Iterator[Try]:
    path, title = resource.path(namespace), resource.title
    yield Try(title, namespace, "list", "GET", path, {"limit": "1"})
    yield Try(title, namespace, "watch", "GET", path, {"watch": "true", "timeoutSeconds": "1"})
    yield Try(title, namespace, "create", "POST", path, {"dryRun": "All"})
    yield Try(title, namespace, "deletecollection", "DELETE", path, {"dryRun": "All"})
