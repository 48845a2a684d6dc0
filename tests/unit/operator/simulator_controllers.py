"""The simulated Job controller, garbage collectors and kubelet.

They follow the documentation of Jobs (pod failure policy, backoff limit, Indexed completion mode, suspension,
podReplacementPolicy Failed as a pod failure policy implies it, tracking finalizers, a terminal condition only after all pods
have ended), of owners and dependents, and of pod disruption conditions.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from tests.unit.operator.simulator import TERMINAL, ApiServer, Body, RequestError
from vott_guard.timestamps import timestamp

TRACKING = "batch.kubernetes.io/job-tracking"
NODES = ("n1", "n2")
INDEX = "batch.kubernetes.io/job-completion-index"


def is_alive(pod: Body) -> bool:
    """Whether the pod's containers run or may run."""
    return pod["status"]["phase"] not in TERMINAL


def is_deleting(item: Body) -> bool:
    """Whether the object was deleted and still exists."""
    return "deletionTimestamp" in item["metadata"]


def owner_uid(item: Body) -> str:
    """uid of the owner."""
    return str(item["metadata"]["ownerReferences"][0]["uid"])


def completion_index(pod: Body) -> int:
    """The pod's completion index."""
    return int(pod["metadata"]["annotations"][INDEX])


def true_condition(item: Body, type_: str) -> Body | None:
    """The condition of this type if it is True."""
    conditions = item.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == type_ and each["status"] == "True"), None)


def set_condition(body: Body, type_: str, reason: str, message: str, now: datetime, status: str = "True") -> None:
    """Set a condition."""
    others = [item for item in body["status"].get("conditions", ()) if item["type"] != type_]
    new = {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": timestamp(now)}
    body["status"]["conditions"] = [*others, new]


class Controllers:
    """The controller manager. `sync` runs every controller once, so that a test can intervene in between."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def sync(self) -> None:
        """Run every controller once."""
        self._collect_garbage()
        for job in self._api.all("jobs"):
            self._sync_job(job)

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
            if is_deleting(pod) and is_alive(pod) and not pod["spec"].get("nodeName"):
                self._change("pods", pod, lambda body: body["status"].update(phase="Failed"))

    def _untrack(self, pod: Body) -> None:
        self._change("pods", pod, lambda body: body["metadata"].update(finalizers=[]))

    def _change(self, plural: str, item: Body, change: Callable[[Body], None]) -> None:
        with suppress(RequestError):
            self._api.update(plural, item["metadata"]["name"], change)

    # ------------------------------------------------------------------------------------------------- the Job controller

    def _sync_job(self, job: Body) -> None:
        if true_condition(job, "Complete") or true_condition(job, "Failed"):
            return
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        pods = [pod for pod in self._api.all("pods") if owner_uid(pod) == uid]
        self._api.update("jobs", name, lambda body: self._count(body, pods))
        job = self._api.objects["jobs"][name]
        for pod in pods:
            if not is_alive(pod) and pod["metadata"]["finalizers"]:
                self._untrack(pod)
        if target := true_condition(job, "FailureTarget"):
            self._stop(pods, uncounted=False)
            # Suspension clears startTime, and the API server accepts no end of a Job without it.
            if job["status"]["startTime"] and not any(is_alive(pod) for pod in self._own_pods(uid)):
                self._end(name, "Failed", target["reason"], target["message"])
        elif true_condition(job, "SuccessCriteriaMet"):
            self._stop(pods, uncounted=False)
            if not any(is_alive(pod) for pod in self._own_pods(uid)):
                self._end(name, "Complete", "SuccessPolicy", "")
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
        return {completion_index(pod) for pod in pods if pod["status"]["phase"] == "Succeeded"}

    def _count(self, job: Body, pods: list[Body]) -> None:
        spec, status, now = job["spec"], job.setdefault("status", {}), self._api.now
        self._record_suspension(job)
        if "successPolicy" in spec and 0 in self._succeeded(pods) and not true_condition(job, "FailureTarget"):
            set_condition(job, "SuccessCriteriaMet", "SuccessPolicy", "", now)
        if true_condition(job, "SuccessCriteriaMet"):
            return
        for pod in pods:
            if pod["status"]["phase"] != "Failed":
                continue
            action, message = apply_failure_policy(spec["podFailurePolicy"]["rules"], pod)
            if action == "FailJob" and not true_condition(job, "FailureTarget"):
                set_condition(job, "FailureTarget", "PodFailurePolicy", message, now)
            if action != "Ignore" and pod["metadata"]["finalizers"]:
                status["failed"] = status.get("failed", 0) + 1
        if true_condition(job, "FailureTarget"):
            return
        deadline, since = spec.get("activeDeadlineSeconds"), status.get("startTime")
        if status.get("failed", 0) > spec["backoffLimit"]:
            message = "Job has reached the specified backoff limit"
            set_condition(job, "FailureTarget", "BackoffLimitExceeded", message, now)
        elif deadline and since and (now - datetime.fromisoformat(since)).total_seconds() >= deadline:
            message = "Job was active longer than specified deadline"
            set_condition(job, "FailureTarget", "DeadlineExceeded", message, now)

    def _record_suspension(self, job: Body) -> None:
        status, suspend = job["status"], job["spec"]["suspend"]
        is_recorded = true_condition(job, "Suspended") is not None
        if suspend and not is_recorded:
            set_condition(job, "Suspended", "JobSuspended", "", self._api.now)
            status["startTime"] = None
        elif not suspend and (is_recorded or not status.get("startTime")):
            status["startTime"] = timestamp(self._api.now)
            if is_recorded:
                set_condition(job, "Suspended", "JobResumed", "", self._api.now, "False")

    def _stop(self, pods: list[Body], *, uncounted: bool) -> None:
        for pod in pods:
            if is_alive(pod) and not is_deleting(pod):
                if uncounted:
                    self._untrack(pod)
                self._api.delete("pods", pod["metadata"]["name"])

    def _fill(self, job: Body, pods: list[Body]) -> None:
        taken = self._succeeded(pods) | {completion_index(pod) for pod in pods if is_alive(pod)}
        for index in set(range(job["spec"]["completions"])) - taken:
            if not is_deleting(job):
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
            "spec": {"affinity": job["spec"]["template"]["spec"].get("affinity", {})},
            "status": {"phase": "Pending"},
        }

    def _end(self, name: str, type_: str, reason: str, message: str) -> None:
        def finish(body: Body) -> None:
            set_condition(body, type_, reason, message, self._api.now)
            if type_ == "Complete":
                body["status"]["completionTime"] = timestamp(self._api.now)

        self._api.update("jobs", name, finish)


def apply_failure_policy(rules: list[Body], pod: Body) -> tuple[str, str]:
    """Action and message of the first rule that matches a failed pod; `Count` if none does."""
    name = f"pod training/{pod['metadata']['name']}"
    code = exit_code(pod)
    for number, rule in enumerate(rules):
        if "onPodConditions" in rule and true_condition(pod, "DisruptionTarget"):
            return rule["action"], f"{name} has condition DisruptionTarget matching FailJob rule at index {number}"
        if code in rule.get("onExitCodes", {}).get("values", ()):
            message = (
                f"Container trainer for {name} failed with exit code {code} matching FailJob rule at index {number}"
            )
            return rule["action"], message
    return "Count", ""


PROXY = "proxy"
"""A container that does not end by itself."""


def has_proxy(pod: Body) -> bool:
    """Whether a container runs beside the trainer."""
    return any(container["name"] == PROXY for container in pod["status"].get("containerStatuses", ()))


def exit_code(pod: Body) -> int | None:
    """Exit code of its trainer, if it has ended."""
    for container in pod["status"].get("containerStatuses", ()):
        if container["name"] != PROXY and "terminated" in container["state"]:
            return int(container["state"]["terminated"]["exitCode"])
    return None


class Kubelet:
    """A node, and the scheduler for it."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def bind(self, pod: Body) -> None:
        """Schedule the pod, if possible on a node that it does not avoid."""
        affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
        preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution", ())
        avoided = {value for item in preferred for value in item["preference"]["matchExpressions"][0]["values"]}
        node = next((node for node in NODES if node not in avoided), NODES[0])
        self._update(pod, lambda body: body["spec"].update(nodeName=node))

    def start(self, pod: Body) -> None:
        """Start its container."""
        self.bind(pod)
        self._container(pod, "Running", {"running": {"startedAt": timestamp(self._api.now)}})

    def end(self, pod: Body, code: int, *, container_only: bool = False) -> None:
        """End its container, and the pod unless `container_only`: the pod's phase follows a little later."""
        is_success = not code and not has_proxy(pod)  # the proxy is killed
        phase = "Running" if container_only else "Succeeded" if is_success else "Failed"
        ended = {"exitCode": code, "finishedAt": timestamp(self._api.now), "reason": "Error"}
        self._container(pod, phase, {"terminated": ended})

    def end_trainer(self, pod: Body, code: int) -> None:
        """End its trainer while a proxy runs on."""
        self.end(pod, code, container_only=True)
        proxy = {"name": PROXY, "state": {"running": {"startedAt": timestamp(self._api.now)}}}
        self._update(pod, lambda body: body["status"]["containerStatuses"].append(proxy))

    def evict(self, pod: Body) -> None:
        """End it for lack of disk; it is not deleted."""
        self._update(
            pod, lambda body: set_condition(body, "DisruptionTarget", "TerminationByKubelet", "", self._api.now)
        )
        self._update(pod, lambda body: body["status"].update(phase="Failed", reason="Evicted"))

    def reject(self, pod: Body) -> None:
        """Reject the pod at admission, for example for lack of a device or of memory."""
        self.bind(pod)
        self._update(pod, lambda body: body["status"].update(phase="Failed", reason="OutOfcpu"))

    def disrupt(self, pod: Body, reason: str) -> None:
        """Evict or preempt it, or lose its node: set DisruptionTarget and delete it."""
        self._update(pod, lambda body: set_condition(body, "DisruptionTarget", reason, "", self._api.now))
        self._api.delete("pods", pod["metadata"]["name"])

    def _container(self, pod: Body, phase: str, state: Body) -> None:
        container = {"name": "trainer", "state": state}
        self._update(pod, lambda body: body["status"].update(phase=phase, containerStatuses=[container]))

    def _update(self, pod: Body, change: Callable[[Body], Any]) -> None:
        self._api.update("pods", pod["metadata"]["name"], change)
