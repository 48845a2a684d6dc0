"""What the Job controller, the garbage collector, the pod garbage collector and the kubelet do, a round at a time.

By the documentation of Jobs (pod failure policy, backoff limit, Indexed completion, suspension, podReplacementPolicy Failed
which a pod failure policy brings, finalizers of pod tracking, the terminal condition only after all pods have ended), of
owners and dependents, and of pods' disruption conditions.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from tests.unit.operator.simulator import TERMINAL, ApiServer, Body, RequestError
from vott_operator.api.times import timestamp

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


def alive(pod: Body) -> bool:
    """Whether its containers run or may run."""
    return pod["status"]["phase"] not in TERMINAL


def going(item: Body) -> bool:
    """Whether somebody deleted it."""
    return "deletionTimestamp" in item["metadata"]


def owner_uid(item: Body) -> str:
    """uid of the object that owns it."""
    return str(item["metadata"]["ownerReferences"][0]["uid"])


def index_of(pod: Body) -> int:
    """Which of the Job's pods it is."""
    return int(pod["metadata"]["annotations"][INDEX])


def is_true(item: Body, type_: str) -> Body | None:
    """The condition of that type, if it is true."""
    conditions = item.get("status", {}).get("conditions", ())
    return next((known for known in conditions if known["type"] == type_ and known["status"] == "True"), None)


def set_condition(body: Body, type_: str, reason: str, message: str, now: datetime, status: str = "True") -> None:
    """Set a condition."""
    others = [item for item in body["status"].get("conditions", ()) if item["type"] != type_]
    new = {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": timestamp(now)}
    body["status"]["conditions"] = [*others, new]


class Controllers:
    """The controller manager. `work` is one round of all; events in between are the test's."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def work(self) -> None:
        """One round."""
        self._collect_garbage()
        for job in self._api.all("jobs"):
            self._sync(job)

    def _collect_garbage(self) -> None:
        owners = {item["metadata"]["uid"] for plural in ("trainingjobs", "jobs") for item in self._api.all(plural)}
        for plural in ("jobs", "services", "pods"):
            for item in self._api.all(plural):
                if owner_uid(item) not in owners:
                    with suppress(RequestError):
                        self._api.delete(plural, item["metadata"]["name"])
                    if plural == "pods":
                        self._untrack(item)
        for pod in self._api.all("pods"):
            if going(pod) and alive(pod) and not pod["spec"].get("nodeName"):
                self._change("pods", pod, lambda body: body["status"].update(phase="Failed"))

    def _untrack(self, pod: Body) -> None:
        self._change("pods", pod, lambda body: body["metadata"].update(finalizers=[]))

    def _change(self, plural: str, item: Body, change: Callable[[Body], None]) -> None:
        with suppress(RequestError):
            self._api.update(plural, item["metadata"]["name"], change)

    # ------------------------------------------------------------------------------------------------- the Job controller

    def _sync(self, job: Body) -> None:
        if is_true(job, "Complete") or is_true(job, "Failed"):
            return
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        pods = [pod for pod in self._api.all("pods") if owner_uid(pod) == uid]
        self._api.update("jobs", name, lambda body: self._count(body, pods))
        job = self._api.objects["jobs"][name]
        for pod in pods:
            if not alive(pod) and pod["metadata"]["finalizers"]:
                self._untrack(pod)
        if target := is_true(job, "FailureTarget"):
            self._stop(pods, uncounted=False)
            # Of a suspended Job the start is cleared, and the API server takes no end of a Job without one.
            if job["status"]["startTime"] and not any(alive(pod) for pod in self._own_pods(uid)):
                self._end(name, "Failed", target["reason"], target["message"])
        elif len(self._succeeded(pods)) == job["spec"]["completions"]:
            self._end(name, "Complete", "CompletionsReached", "")
        elif job["spec"]["suspend"]:
            self._stop(pods, uncounted=True)
        else:
            self._fill(job, pods)

    def _own_pods(self, uid: str) -> list[Body]:
        return [pod for pod in self._api.all("pods") if owner_uid(pod) == uid]

    @staticmethod
    def _succeeded(pods: Iterable[Body]) -> set[int]:
        return {index_of(pod) for pod in pods if pod["status"]["phase"] == "Succeeded"}

    def _count(self, job: Body, pods: list[Body]) -> None:
        spec, status, now = job["spec"], job.setdefault("status", {}), self._api.now
        self._note_suspension(job)
        for pod in pods:
            verdict = judge(spec["podFailurePolicy"]["rules"], pod) if pod["status"]["phase"] == "Failed" else None
            if verdict is not None and verdict[0] == "FailJob" and not is_true(job, "FailureTarget"):
                set_condition(job, "FailureTarget", "PodFailurePolicy", verdict[1], now)
            if verdict is not None and verdict[0] != "Ignore" and pod["metadata"]["finalizers"]:
                status["failed"] = status.get("failed", 0) + 1
        if is_true(job, "FailureTarget"):
            return
        deadline, since = spec.get("activeDeadlineSeconds"), status.get("startTime")
        if status.get("failed", 0) > spec["backoffLimit"]:
            message = "Job has reached the specified backoff limit"
            set_condition(job, "FailureTarget", "BackoffLimitExceeded", message, now)
        elif deadline and since and (now - datetime.fromisoformat(since)).total_seconds() >= deadline:
            message = "Job was active longer than specified deadline"
            set_condition(job, "FailureTarget", "DeadlineExceeded", message, now)

    def _note_suspension(self, job: Body) -> None:
        status, held, noted = job["status"], job["spec"]["suspend"], is_true(job, "Suspended") is not None
        if held and not noted:
            set_condition(job, "Suspended", "JobSuspended", "", self._api.now)
            status["startTime"] = None
        elif not held and (noted or not status.get("startTime")):
            status["startTime"] = timestamp(self._api.now)
            if noted:
                set_condition(job, "Suspended", "JobResumed", "", self._api.now, "False")

    def _stop(self, pods: list[Body], *, uncounted: bool) -> None:
        for pod in pods:
            if alive(pod) and not going(pod):
                if uncounted:
                    self._untrack(pod)
                self._api.delete("pods", pod["metadata"]["name"])

    def _fill(self, job: Body, pods: list[Body]) -> None:
        taken = self._succeeded(pods) | {index_of(pod) for pod in pods if alive(pod)}
        for index in set(range(job["spec"]["completions"])) - taken:
            if not going(job):
                self._api.create("pods", self._pod(job, index))

    def _pod(self, job: Body, index: int) -> Body:
        name = job["metadata"]["name"]
        owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
        return {
            "metadata": {
                "name": self._api.unique(f"{name}-{index}-"),
                "labels": job["spec"]["template"]["metadata"]["labels"],
                "annotations": {INDEX: str(index)},
                "ownerReferences": [owner],
                "finalizers": [TRACKING],
            },
            "spec": {},
            "status": {"phase": "Pending"},
        }

    def _end(self, name: str, type_: str, reason: str, message: str) -> None:
        def finish(body: Body) -> None:
            set_condition(body, type_, reason, message, self._api.now)
            if type_ == "Complete":
                body["status"]["completionTime"] = timestamp(self._api.now)

        self._api.update("jobs", name, finish)


def judge(rules: list[Body], pod: Body) -> tuple[str, str]:
    """The action for a failed pod by the first rule that matches it, with the Job's message; `Count` where none does."""
    place = f"pod training/{pod['metadata']['name']}"
    code = exit_code(pod)
    for number, rule in enumerate(rules):
        if "onPodConditions" in rule and is_true(pod, "DisruptionTarget"):
            return rule["action"], f"{place} has condition DisruptionTarget matching FailJob rule at index {number}"
        if code in rule.get("onExitCodes", {}).get("values", ()):
            message = (
                f"Container trainer for {place} failed with exit code {code} matching FailJob rule at index {number}"
            )
            return rule["action"], message
    return "Count", ""


def exit_code(pod: Body) -> int | None:
    """Of its container, if it has ended."""
    for container in pod["status"].get("containerStatuses", ()):
        if "terminated" in container["state"]:
            return int(container["state"]["terminated"]["exitCode"])
    return None


class Kubelet:
    """A node's part in the life of pods."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def bind(self, pod: Body) -> None:
        """The scheduler finds a node for it."""
        self._update(pod, lambda body: body["spec"].update(nodeName="n1"))

    def start(self, pod: Body) -> None:
        """Its container runs."""
        self.bind(pod)
        self._container(pod, "Running", {"running": {"startedAt": timestamp(self._api.now)}})

    def end(self, pod: Body, code: int, *, container_only: bool = False) -> None:
        """Its container ended, and but for a moment in between so did the pod."""
        phase = "Running" if container_only else "Failed" if code else "Succeeded"
        ended = {"exitCode": code, "finishedAt": timestamp(self._api.now), "reason": "Error"}
        self._container(pod, phase, {"terminated": ended})

    def refuse(self, pod: Body) -> None:
        """It is not taken (its device plugin, or a lack of room)."""
        self.bind(pod)
        self._update(pod, lambda body: body["status"].update(phase="Failed", reason="OutOfcpu"))

    def disrupt(self, pod: Body, reason: str) -> None:
        """It is evicted, preempted, or its node is taken for lost: marked, and deleted."""
        self._update(pod, lambda body: set_condition(body, "DisruptionTarget", reason, "", self._api.now))
        self._api.delete("pods", pod["metadata"]["name"])

    def _container(self, pod: Body, phase: str, state: Body) -> None:
        container = {"name": "trainer", "state": state}
        self._update(pod, lambda body: body["status"].update(phase=phase, containerStatuses=[container]))

    def _update(self, pod: Body, change: Callable[[Body], Any]) -> None:
        self._api.update("pods", pod["metadata"]["name"], change)
