"""A simulated API server of one namespace: objects, finalizers, graceful deletion, watches, and writes that fail.

It follows Kubernetes' documentation of API concepts (resource versions, preconditions, JSON patches), of finalizers and of
pod termination. `SimulatedCluster` is the operator's client of it.
"""

import copy
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from vott_guard.timestamps import timestamp
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.rest import RestClient, error_from_status
from vott_operator.errors import ClusterError

Body = dict[str, Any]
Fault = Literal["refused", "answer lost", "killed before", "killed after"]
FAULTS: tuple[Fault, ...] = ("refused", "answer lost", "killed before", "killed after")
NAMESPACE = "training"
START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
GRACE_SECONDS = 60
TERMINAL = ("Succeeded", "Failed")


class Killed(BaseException):
    """The operator was killed in the middle of a pass."""


class RequestError(Exception):
    """A response with an error status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class ApiServer:
    """Objects by plural and name. `watch` is called with every change."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Body]] = {}
        self.now = START
        self.watch: Callable[[str, str, Body], None] = lambda *_: None
        self._version = 0
        self._random = random.Random(0)

    def all(self, plural: str) -> list[Body]:
        """All objects of a kind; don't modify them."""
        return list(self.objects.get(plural, {}).values())

    def find(self, plural: str, name: str) -> Body | None:
        """One object, if it exists; don't modify it."""
        return self.objects.get(plural, {}).get(name)

    def unique(self, prefix: str) -> str:
        """A name or uid, random but the same in every run."""
        return f"{prefix}{self._random.randrange(16**5):05x}"

    def create(self, plural: str, body: Body) -> Body:
        """Create. Raises RequestError (409)."""
        name = body["metadata"]["name"]
        if self.find(plural, name) is not None:
            raise RequestError(409, "AlreadyExists")
        created = copy.deepcopy(body)
        generated = {"uid": self.unique(f"{plural}-"), "creationTimestamp": timestamp(self.now), "generation": 1}
        created["metadata"] = {"namespace": NAMESPACE} | created["metadata"] | generated
        return self._store(plural, created, "ADDED")

    def update(self, plural: str, name: str, change: Callable[[Body], None]) -> Body:
        """Update one object. Raises RequestError (404)."""
        current = self.find(plural, name)
        if current is None:
            raise RequestError(404, "NotFound")
        body = copy.deepcopy(current)
        change(body)
        if body == current:
            return current
        if body.get("spec") != current.get("spec"):
            body["metadata"]["generation"] += 1
        return self._store(plural, body, "MODIFIED")

    def delete(self, plural: str, name: str, uid: str | None = None) -> None:
        """Delete: a pod after its grace period, another object without its finalizers. Raises RequestError (404, 409)."""
        current = self.find(plural, name)
        if current is None:
            raise RequestError(404, "NotFound")
        if uid not in (None, current["metadata"]["uid"]):
            raise RequestError(409, "Conflict")
        grace = GRACE_SECONDS if plural == "pods" else 0

        def mark(body: Body) -> None:
            body["metadata"].setdefault("deletionTimestamp", timestamp(self.now + timedelta(seconds=grace)))

        self.update(plural, name, mark)

    def _store(self, plural: str, body: Body, event: str) -> Body:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        name = body["metadata"]["name"]
        if _is_removed(plural, body):
            self.objects[plural].pop(name, None)
            event = "DELETED"
        else:
            self.objects.setdefault(plural, {})[name] = body
        self.watch(event, plural, copy.deepcopy(body))
        return body


def _is_removed(plural: str, body: Body) -> bool:
    metadata = body["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    # A pod on a node remains until its containers have ended.
    is_ending = plural == "pods" and body["spec"].get("nodeName") and body["status"]["phase"] not in TERMINAL
    return not is_ending


class SimulatedCluster(Cluster):
    """The operator's client of a simulated API server."""

    def __init__(self, api: ApiServer) -> None:
        rest = _SimulatedRest(api)
        super().__init__(rest)
        self._simulated = rest

    @property
    def faults(self) -> list[Fault | None]:
        """Of the next writes, in order; None for a write that succeeds."""
        return self._simulated.faults

    @faults.setter
    def faults(self, faults: list[Fault | None]) -> None:
        self._simulated.faults = faults


class _SimulatedRest(RestClient):
    """Requests that call the simulated API server, and fail as a test demands."""

    def __init__(self, api: ApiServer) -> None:
        self._server = api
        self.faults: list[Fault | None] = []

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "",  # noqa: ARG002
        query: str = "",  # noqa: ARG002
        accept: str = "",  # noqa: ARG002
    ) -> Body:
        fault = self.faults.pop(0) if self.faults and method != "GET" else None
        if fault == "killed before":
            raise Killed
        if fault == "refused":
            raise ClusterError(f"{method} {path}: the object has been modified", 409)
        try:
            url = urlsplit(path)
            answer = copy.deepcopy(_select(self._answer(method, url.path, body), url.query))
        except RequestError as error:
            data = json.dumps({"message": str(error), "reason": error.reason}).encode()
            raise error_from_status(f"{method} {path}", error.status, data) from None
        if fault == "killed after":
            raise Killed
        if fault == "answer lost":
            raise ClusterError(f"{method} {path}: the Kubernetes API did not answer")
        return answer

    def _answer(self, method: str, path: str, body: Any) -> Body:
        _, _, rest = path.partition(f"/namespaces/{NAMESPACE}/")
        plural, _, name = rest.partition("/")
        name, _, subresource = name.partition("/")
        if method == "POST":
            return self._server.create(plural, body)
        if method == "DELETE":
            self._server.delete(plural, name, body["preconditions"]["uid"])
            return {}
        if method == "PATCH":
            return self._server.update(plural, name, lambda current: _patch(current, body, subresource))
        if not name:
            return {"items": self._server.all(plural), "metadata": {}}
        current = self._server.find(plural, name)
        if current is None:
            raise RequestError(404, "NotFound")
        return current


def _select(answer: Body, query: str) -> Body:
    """The Events that a list's field selector selects, by the uid of their object; other answers unchanged."""
    selector = dict(term.split("=") for field in parse_qs(query).get("fieldSelector", ()) for term in field.split(","))
    if uid := selector.get("involvedObject.uid"):
        answer = answer | {"items": [item for item in answer["items"] if item["involvedObject"]["uid"] == uid]}
    return answer


def _patch(current: Body, patch: Any, subresource: str) -> None:
    """Apply a JSON patch (RFC 6902) of `test` and `add`, or a merge patch (RFC 7386) without null."""
    if isinstance(patch, dict):
        if (
            patch.get("metadata", {}).get("resourceVersion", version := current["metadata"]["resourceVersion"])
            != version
        ):
            raise RequestError(409, "Conflict")
        _merge(current, patch)
        return
    for step in patch:
        *parents, last = step["path"].strip("/").split("/")
        at = current
        for parent in parents:
            at = at.setdefault(parent, {})
        if step["op"] == "add":
            assert (parents[0] == "status") == (subresource == "status"), "status is a subresource"
            at[last] = step["value"]
        elif at.get(last) != step["value"]:
            raise RequestError(422, "Invalid")


def _merge(current: Body, patch: Body) -> None:
    for field, value in patch.items():
        if isinstance(value, dict):
            _merge(current.setdefault(field, {}), value)
        else:
            current[field] = value
