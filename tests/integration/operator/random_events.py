"""TrainingJobs on a real API server, random events of nodes and users, and a watcher that checks invariants."""

import json
import random
import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import requests
import yaml

from tests.support.api_client import retry_throttled
from tests.support.examples import REPORTED_MODEL
from tests.support.operator_harness import Object, OperatorHarness, condition

STEP_SECONDS = 2.0
"""How long a step waits for a running pod; a suspended training has none."""
LABEL = "vott.dev/trainingjob"
ENDED = ("Succeeded", "Failed")
API_PATHS = {"trainingjobs": "apis/vott.dev/v1alpha1", "jobs": "apis/batch/v1", "pods": "api/v1"}


class AdminClient:
    """The API server's REST interface, as administrator in one namespace."""

    def __init__(self, harness: OperatorHarness) -> None:
        self._harness = harness
        user = yaml.safe_load(harness.control_plane.kubeconfig.read_text())["users"][0]["user"]
        files = [harness.log.with_suffix(f".{name}.pem") for name in ("cert", "key")]
        for file, name in zip(files, ("client-certificate-data", "client-key-data"), strict=True):
            file.write_bytes(harness.decoded(user[name]))
        self._options: Any = {"cert": tuple(map(str, files)), "verify": str(harness.authority())}

    def url(self, plural: str, name: str = "") -> str:
        """URL of a collection, or of an object."""
        return (
            f"{self._harness.control_plane.server}/{API_PATHS[plural]}/namespaces/{self._harness.name}/{plural}/{name}"
        )

    def send(self, method: str, url: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send a request; return None if the object is missing or has changed (404, 409)."""
        headers = {"Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        answer = retry_throttled(
            lambda: requests.request(method, url, data=data, headers=headers, timeout=30, **self._options)
        )
        assert answer.ok or answer.status_code in (404, 409), answer.text
        return answer.json() if answer.ok else None

    def patch(self, plural: str, name: str, body: Object) -> None:
        """Apply a merge patch."""
        self.send("PATCH", self.url(plural, name), body, "application/merge-patch+json")

    def all(self, plural: str) -> list[Object]:
        """All objects of the collection."""
        return list(self.send("GET", self.url(plural))["items"])

    def watch(self, plural: str, version: str) -> Iterator[Object]:
        """Watch events, until the stream ends."""
        options = {"watch": "1", "resourceVersion": version}
        with requests.get(self.url(plural), params=options, stream=True, timeout=(10, 300), **self._options) as answer:
            for line in answer.iter_lines():
                yield json.loads(line)


class InvariantWatcher:
    """Watches TrainingJobs and pods and records violations of invariants."""

    def __init__(self, api: AdminClient) -> None:
        self.violations: list[str] = []
        self._outcomes: dict[str, list[str]] = {}
        self._alive: dict[str, dict[str, str]] = {}
        self.reported_pods: dict[str, set[str]] = {}
        """Every value of status.podName, by TrainingJob."""
        for plural, check in (("trainingjobs", self._check_trainingjob), ("pods", self._check_pod)):
            version = api.send("GET", api.url(plural))["metadata"]["resourceVersion"]
            Thread(target=self._follow, args=(api, plural, version, check), daemon=True).start()

    def _follow(self, api: AdminClient, plural: str, version: str, check: Callable[[str, Object], None]) -> None:
        cause: object = "without an error"
        try:
            for event in api.watch(plural, version):
                if event["type"] == "ERROR":  # such as a watch that the API server ends
                    cause = event["object"]
                    break
                check(event["type"], event["object"])
        except requests.RequestException as error:
            cause = error
        self.violations.append(f"{plural}: the watch ended: {cause}")  # from here on nothing is checked

    def _check_trainingjob(self, _: str, body: Object) -> None:
        metadata, outcome = body["metadata"], terminal_conditions(body)
        previous = self._outcomes.setdefault(metadata["uid"], outcome)
        if len(outcome) > 1 or (previous and outcome != previous):
            self.violations.append(f"{metadata['name']}: {previous} became {outcome}")
        self._outcomes[metadata["uid"]] = outcome
        self.reported_pods.setdefault(metadata["name"], set()).add(body.get("status", {}).get("podName") or "")

    def _check_pod(self, event: str, body: Object) -> None:
        metadata = body["metadata"]
        if LABEL not in metadata["labels"]:
            return  # not of a training
        alive = self._alive.setdefault(metadata["labels"][LABEL], {})
        alive.pop(metadata["name"], None)
        if event != "DELETED" and body["status"]["phase"] not in ENDED:
            alive[metadata["name"]] = metadata["ownerReferences"][0]["uid"]
        if len(set(alive.values())) > 1:
            self.violations.append(f"pods of two Jobs alive at once: {alive}")


def terminal_conditions(trainingjob: Object) -> list[str]:
    """Terminal conditions that are true, as TYPE/REASON."""
    conditions = [condition(trainingjob, type_) for type_ in ("Complete", "Failed")]
    return [f"{item['type']}/{item['reason']}" for item in conditions if item and item["status"] == "True"]


class RandomTraining:
    """A TrainingJob and the events that may happen to it. An event that does not apply is skipped."""

    def __init__(self, api: AdminClient, name: str, node: str, rng: random.Random, callback: str) -> None:
        self._api = api
        self.name = name
        self._node = node
        self._rng = rng
        self.runs: list[tuple[str, bool]] = []
        """Pods of index 0 that ran, and whether the training was suspended since the previous one."""
        self._was_suspended = False
        spec: Object = {
            "annotations": {"url": "https://host/a.csv"},
            "model": {"url": "https://store/models"},
            "backoffLimit": rng.choice([1, 3]),
            "trainer": {"nodes": rng.choice([1, 1, 2])},
            "callback": {"url": callback},
        }
        body = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}
        api.send("POST", api.url("trainingjobs"), body)

    def step(self) -> None:
        """Start pending pods, then let a random event happen."""
        deadline = time.monotonic() + STEP_SECONDS
        while not self._running() and time.monotonic() < deadline:
            self.start_pods()
            time.sleep(0.5)
        events = [
            self.fail, self.fail, self.evict, self.evict, self.lose_node, self.suspend, self.resume,
            self.delete_pod, self.delete_job,
        ]  # fmt: skip
        self._rng.choice(events)()
        if self._rng.random() < 0.7:
            self.end_pods()

    # ---------------------------------------------------------------------------------------------------- the nodes

    def pods(self) -> list[Object]:
        """Its pods that have not terminated."""
        pods = [pod for pod in self._api.all("pods") if pod["metadata"]["labels"].get(LABEL) == self.name]
        return [pod for pod in pods if pod["status"]["phase"] not in ENDED]

    def _running(self) -> list[Object]:
        return [pod for pod in self.pods() if pod["status"]["phase"] == "Running" and not is_being_deleted(pod)]

    def start_pods(self) -> None:
        """Bind pending pods to the node and report their containers as running."""
        for pod in self.pods():
            name, metadata = pod["metadata"]["name"], pod["metadata"]
            if pod["status"]["phase"] != "Pending" or is_being_deleted(pod):
                continue
            target = {"apiVersion": "v1", "kind": "Node", "name": self._node}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self._api.send("POST", f"{self._api.url('pods', name)}/binding", binding)
            is_running = self._set_status(name, "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
            if is_running and metadata["annotations"]["batch.kubernetes.io/job-completion-index"] == "0":
                self.runs.append((name, self._was_suspended))
                self._was_suspended = False

    def end_pods(self) -> None:
        """Terminate the pods that are being deleted, as by SIGTERM, and remove them."""
        for pod in self.pods():
            if is_being_deleted(pod):
                self._end(pod, 143)

    def _end(self, pod: Object, code: int) -> None:
        name = pod["metadata"]["name"]
        terminated = {"exitCode": code, "finishedAt": "2026-01-01T00:00:00Z"}
        self._set_status(name, "Failed" if code else "Succeeded", {"terminated": terminated})
        if is_being_deleted(pod):
            self._api.send("DELETE", self._api.url("pods", name), {"gracePeriodSeconds": 0})

    def _set_status(self, name: str, phase: str, state: Object) -> bool:
        container = {"name": "trainer", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": phase, "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [container]}
        url = f"{self._api.url('pods', name)}/status"
        return self._api.send("PATCH", url, {"status": status}, "application/merge-patch+json") is not None

    def fail(self) -> None:
        """A pod fails with an error."""
        for pod in self._running()[:1]:
            self._end(pod, self._rng.choice([1, 137]))

    def evict(self) -> None:
        """A pod is evicted through the eviction API, as by a drain."""
        for pod in self._running()[:1]:
            name = pod["metadata"]["name"]
            metadata = {"name": name, "namespace": pod["metadata"]["namespace"]}
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
            self._api.send("POST", f"{self._api.url('pods', name)}/eviction", eviction)

    def lose_node(self) -> None:
        """A pod's node disappears, and the pod garbage collector fails and deletes the pod."""
        for pod in self._running()[:1]:
            name = pod["metadata"]["name"]
            lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
            url = f"{self._api.url('pods', name)}/status"
            patch = {"status": {"phase": "Failed", "conditions": [lost]}}
            self._api.send("PATCH", url, patch, "application/strategic-merge-patch+json")
            self._api.send("DELETE", self._api.url("pods", name), {"gracePeriodSeconds": 0})

    # ------------------------------------------------------------------------------------------------------- users

    def suspend(self) -> None:
        """A user suspends it."""
        self._was_suspended = True
        self._api.patch("trainingjobs", self.name, {"spec": {"suspend": True}})

    def resume(self) -> None:
        """A user resumes it."""
        self._api.patch("trainingjobs", self.name, {"spec": {"suspend": False}})

    def delete_pod(self) -> None:
        """A user deletes a pod."""
        for pod in self._running()[:1]:
            self._api.send("DELETE", self._api.url("pods", pod["metadata"]["name"]))

    def delete_job(self) -> None:
        """A user deletes its Job; only in half of the cases, because it replaces other events."""
        if self._rng.random() < 0.5:
            self._api.send("DELETE", self._api.url("jobs", self.name), {"propagationPolicy": "Background"})

    def delete(self) -> None:
        """A user deletes the TrainingJob."""
        self._api.send("DELETE", self._api.url("trainingjobs", self.name))

    def finish(self) -> bool:
        """Let the training succeed: resume it, report a model and complete its pods. Whether it has ended."""
        self.resume()
        self.end_pods()
        self.start_pods()
        trainingjob = self.read()
        if trainingjob is None or terminal_conditions(trainingjob):
            return True
        if trainingjob["status"].get("phase") == "Running":
            url = f"{self._api.url('trainingjobs', self.name)}/status"
            self._api.send("PATCH", url, {"status": {"model": REPORTED_MODEL}}, "application/merge-patch+json")
            for pod in self._running():
                self._end(pod, 0)
        return False

    def read(self) -> Object | None:
        """The TrainingJob, or None if it was deleted."""
        trainingjob: Object | None = self._api.send("GET", self._api.url("trainingjobs", self.name))
        return trainingjob


def is_being_deleted(item: Object) -> bool:
    """Whether the object has a deletion timestamp."""
    return "deletionTimestamp" in item["metadata"]
