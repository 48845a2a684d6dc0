"""TrainingJobs on a real API server, what nodes and people may do to them, and a watcher of all that then happens."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import requests
import yaml

from tests.support.api_client import retry_throttled
from tests.support.examples import REPORTED_MODEL
from tests.support.operator_harness import Object, OperatorHarness, condition

STEP_SECONDS = 2.0
"""How long one waits for a pod to do something to; a suspended training has none."""
LABEL = "vott.dev/trainingjob"
ENDED = ("Succeeded", "Failed")
PLACES = {"trainingjobs": "apis/vott.dev/v1alpha1", "jobs": "apis/batch/v1", "pods": "api/v1"}


class AdminClient:
    """The API server's REST interface as an administrator, for one namespace."""

    def __init__(self, harness: OperatorHarness) -> None:
        self._harness = harness
        user = yaml.safe_load(harness.control_plane.kubeconfig.read_text())["users"][0]["user"]
        files = [harness.log.with_suffix(f".{name}.pem") for name in ("cert", "key")]
        for file, name in zip(files, ("client-certificate-data", "client-key-data"), strict=True):
            file.write_bytes(harness.decoded(user[name]))
        self._options: Any = {"cert": tuple(map(str, files)), "verify": str(harness.authority())}

    def url(self, plural: str, name: str = "") -> str:
        """Of a collection, or of one object."""
        return f"{self._harness.control_plane.server}/{PLACES[plural]}/namespaces/{self._harness.name}/{plural}/{name}"

    def send(self, method: str, url: str, body: Any = None, content_type: str = "application/json") -> Any:
        """One request; objects that are gone or in another state are none of this test's business."""
        headers = {"Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        answer = retry_throttled(
            lambda: requests.request(method, url, data=data, headers=headers, timeout=30, **self._options)
        )
        assert answer.ok or answer.status_code in (404, 409), answer.text
        return answer.json() if answer.ok else None

    def patch(self, plural: str, name: str, body: Object) -> None:
        """Merge this into it."""
        self.send("PATCH", self.url(plural, name), body, "application/merge-patch+json")

    def all(self, plural: str) -> list[Object]:
        """What there is."""
        return list(self.send("GET", self.url(plural))["items"])

    def watch(self, plural: str, version: str) -> Iterator[Object]:
        """What happens, until the stream ends."""
        options = {"watch": "1", "resourceVersion": version}
        with requests.get(self.url(plural), params=options, stream=True, timeout=(10, 300), **self._options) as answer:
            for line in answer.iter_lines():
                yield json.loads(line)


class InvariantWatcher:
    """Sees everything that happens to a kind, and says what must not be."""

    def __init__(self, api: AdminClient) -> None:
        self.wrong: list[str] = []
        self._endings: dict[str, list[str]] = {}
        self._alive: dict[str, dict[str, str]] = {}
        self.noted: dict[str, set[str]] = {}
        """The pods that each TrainingJob's status came to name."""
        for plural, look in (("trainingjobs", self._trainingjob), ("pods", self._pod)):
            version = api.send("GET", api.url(plural))["metadata"]["resourceVersion"]
            Thread(target=self._follow, args=(api, plural, version, look), daemon=True).start()

    def _follow(self, api: AdminClient, plural: str, version: str, look: Callable[[str, Object], None]) -> None:
        with suppress(requests.RequestException):
            for event in api.watch(plural, version):
                if event["type"] == "ERROR":  # as when it lasts longer than the test, and the API server has to go
                    self.wrong.append(f"{plural}: no more is seen: {event['object']}")
                    return
                look(event["type"], event["object"])

    def _trainingjob(self, _: str, body: Object) -> None:
        metadata, ended = body["metadata"], terminal_conditions(body)
        known = self._endings.setdefault(metadata["uid"], ended)
        if len(ended) > 1 or (known and ended != known):
            self.wrong.append(f"{metadata['name']}: {known} became {ended}")
        self._endings[metadata["uid"]] = ended
        self.noted.setdefault(metadata["name"], set()).add(body.get("status", {}).get("podName") or "")

    def _pod(self, event: str, body: Object) -> None:
        metadata = body["metadata"]
        if LABEL not in metadata["labels"]:
            return  # the operator's own
        alive = self._alive.setdefault(metadata["labels"][LABEL], {})
        alive.pop(metadata["name"], None)
        if event != "DELETED" and body["status"]["phase"] not in ENDED:
            alive[metadata["name"]] = metadata["ownerReferences"][0]["uid"]
        if len(set(alive.values())) > 1:
            self.wrong.append(f"pods of two Jobs alive at once: {alive}")


def terminal_conditions(trainingjob: Object) -> list[str]:
    """Its terminal conditions with their reasons."""
    known = [condition(trainingjob, type_) for type_ in ("Complete", "Failed")]
    return [f"{item['type']}/{item['reason']}" for item in known if item and item["status"] == "True"]


class RandomTraining:
    """One TrainingJob, and what may happen to it. Every method is one event; where it can't happen, nothing does."""

    def __init__(self, api: AdminClient, name: str, node: str, chance: random.Random, callback: str) -> None:
        self._api = api
        self.name = name
        self._node = node
        self._chance = chance
        self.runs: list[tuple[str, bool]] = []
        """Pods of index 0 that ran, and whether somebody asked to suspend the training since the one before."""
        self._asked = False
        spec: Object = {
            "annotations": {"url": "https://host/a.csv"},
            "model": {"url": "https://store/models"},
            "backoffLimit": chance.choice([1, 3]),
            "trainer": {"nodes": chance.choice([1, 1, 2])},
            "callback": {"url": callback},
        }
        body = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}
        api.send("POST", api.url("trainingjobs"), body)

    def step(self) -> None:
        """The nodes do their part, and something happens."""
        patience = time.monotonic() + STEP_SECONDS
        while not self._running() and time.monotonic() < patience:
            self.start_pods()
            time.sleep(0.5)
        events = [
            self.fail, self.fail, self.evict, self.evict, self.lose_the_node, self.suspend, self.resume,
            self.delete_a_pod, self.delete_the_job,
        ]  # fmt: skip
        self._chance.choice(events)()
        if self._chance.random() < 0.7:
            self.end_pods()

    # ---------------------------------------------------------------------------------------------------- the nodes

    def pods(self) -> list[Object]:
        """Its pods that have not ended."""
        found = [pod for pod in self._api.all("pods") if pod["metadata"]["labels"].get(LABEL) == self.name]
        return [pod for pod in found if pod["status"]["phase"] not in ENDED]

    def _running(self) -> list[Object]:
        return [pod for pod in self.pods() if pod["status"]["phase"] == "Running" and not is_being_deleted(pod)]

    def start_pods(self) -> None:
        """Those that wait get their node, and their containers run."""
        for pod in self.pods():
            name, metadata = pod["metadata"]["name"], pod["metadata"]
            if pod["status"]["phase"] != "Pending" or is_being_deleted(pod):
                continue
            target = {"apiVersion": "v1", "kind": "Node", "name": self._node}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self._api.send("POST", f"{self._api.url('pods', name)}/binding", binding)
            ran = self._status(name, "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
            if ran and metadata["annotations"]["batch.kubernetes.io/job-completion-index"] == "0":
                self.runs.append((name, self._asked))
                self._asked = False

    def end_pods(self) -> None:
        """Those that are to end do so by SIGTERM, and their kubelet lets them go."""
        for pod in self.pods():
            if is_being_deleted(pod):
                self._end(pod, 143)

    def _end(self, pod: Object, code: int) -> None:
        name = pod["metadata"]["name"]
        terminated = {"exitCode": code, "finishedAt": "2026-01-01T00:00:00Z"}
        self._status(name, "Failed" if code else "Succeeded", {"terminated": terminated})
        if is_being_deleted(pod):
            self._api.send("DELETE", self._api.url("pods", name), {"gracePeriodSeconds": 0})

    def _status(self, name: str, phase: str, state: Object) -> bool:
        container = {"name": "trainer", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": phase, "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [container]}
        url = f"{self._api.url('pods', name)}/status"
        return self._api.send("PATCH", url, {"status": status}, "application/merge-patch+json") is not None

    def fail(self) -> None:
        """A pod fails by a fault of its own."""
        for pod in self._running()[:1]:
            self._end(pod, self._chance.choice([1, 137]))

    def evict(self) -> None:
        """A pod is evicted by the eviction API, as a drain does it."""
        for pod in self._running()[:1]:
            name = pod["metadata"]["name"]
            metadata = {"name": name, "namespace": pod["metadata"]["namespace"]}
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
            self._api.send("POST", f"{self._api.url('pods', name)}/eviction", eviction)

    def lose_the_node(self) -> None:
        """A pod's node is gone for good, and the pod is ended without a word from it."""
        for pod in self._running()[:1]:
            name = pod["metadata"]["name"]
            lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
            url = f"{self._api.url('pods', name)}/status"
            patch = {"status": {"phase": "Failed", "conditions": [lost]}}
            self._api.send("PATCH", url, patch, "application/strategic-merge-patch+json")
            self._api.send("DELETE", self._api.url("pods", name), {"gracePeriodSeconds": 0})

    # ------------------------------------------------------------------------------------------------------- people

    def suspend(self) -> None:
        """Hold it back."""
        self._asked = True
        self._api.patch("trainingjobs", self.name, {"spec": {"suspend": True}})

    def resume(self) -> None:
        """Let it go on."""
        self._api.patch("trainingjobs", self.name, {"spec": {"suspend": False}})

    def delete_a_pod(self) -> None:
        """By hand."""
        for pod in self._running()[:1]:
            self._api.send("DELETE", self._api.url("pods", pod["metadata"]["name"]))

    def delete_the_job(self) -> None:
        """By hand; one time of two, or it would be all that happens."""
        if self._chance.random() < 0.5:
            self._api.send("DELETE", self._api.url("jobs", self.name), {"propagationPolicy": "Background"})

    def delete(self) -> None:
        """The whole TrainingJob."""
        self._api.send("DELETE", self._api.url("trainingjobs", self.name))

    def finish(self) -> bool:
        """Nothing more goes wrong: the trainer reports its model and ends well. Whether it has ended."""
        self.resume()
        self.end_pods()
        self.start_pods()
        trainingjob = self.now()
        if trainingjob is None or terminal_conditions(trainingjob):
            return True
        if trainingjob["status"].get("phase") == "Running":
            url = f"{self._api.url('trainingjobs', self.name)}/status"
            self._api.send("PATCH", url, {"status": {"model": REPORTED_MODEL}}, "application/merge-patch+json")
            for pod in self._running():
                self._end(pod, 0)
        return False

    def now(self) -> Object | None:
        """The TrainingJob."""
        found: Object | None = self._api.send("GET", self._api.url("trainingjobs", self.name))
        return found


def is_being_deleted(item: Object) -> bool:
    """Whether somebody deleted it."""
    return "deletionTimestamp" in item["metadata"]
