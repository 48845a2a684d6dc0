"""Kueue's observable behaviour, on the real API server and Job controller: what it sets of a Job is its own.

In the part of Kueue (https://kueue.sigs.k8s.io/docs/tasks/run/jobs/): its webhook suspends a new Job that names a LocalQueue,
and its controller starts it with the node labels of the flavor that has quota, or suspends it again for another.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.corner import Corner, condition
from tests.support.waiting import wait_until

QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
FLAVOR = {"cloud.example/gpu": "a100"}
GROUP = "admissionregistration.k8s.io"


class Kueue:
    """Does to Jobs what Kueue does."""

    def __init__(self, corner: Corner) -> None:
        self._corner = corner
        self._name = f"kueue-{corner.name}"
        versions = corner.kubectl("api-resources", f"--api-group={GROUP}", "--no-headers").splitlines()
        self._served = next((line.split()[-3] for line in versions if "mutatingadmissionpolicies " in line), None)

    def install(self) -> None:
        """Its webhook, as a policy of the API server where it serves them."""
        if self._served is None:
            return
        rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
        here = {"matchLabels": {"kubernetes.io/metadata.name": self._corner.name}}
        mutation = {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": "Object{spec: Object.spec{suspend: true}}"},
        }
        policy = {
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": here,
                "objectSelector": {"matchExpressions": [{"key": QUEUE, "operator": "Exists"}]},
            },
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [mutation],
        }
        self._apply("MutatingAdmissionPolicy", policy)
        self._apply("MutatingAdmissionPolicyBinding", {"policyName": self._name})
        self._wait_for_the_policy()

    def _apply(self, kind: str, spec: dict[str, Any]) -> None:
        self._corner.kubectl.apply(
            {"apiVersion": self._served, "kind": kind, "metadata": {"name": self._name}, "spec": spec}
        )

    def _wait_for_the_policy(self) -> None:
        """It takes a moment from its creation until the API server heeds it."""
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
        labels = {QUEUE: "probe"}
        probe = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe", "labels": labels}}

        def held() -> bool:
            text = json.dumps(probe | {"spec": {"template": template}})
            made = json.loads(
                self._corner.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=text)
            )
            return bool(made["spec"].get("suspend"))

        wait_until("the policy", held, seconds=60)

    def hold(self, known: str = "") -> Any:
        """The Job, new since that uid, once it is held for want of quota."""

        def found() -> Any:
            jobs = self._corner.kubectl.list("jobs", "vott.dev/trainingjob")
            return next((job for job in jobs if job["metadata"]["uid"] != known), None)

        job = wait_until("a Job", found, seconds=60, dump=self._corner.picture)
        if self._served is None:  # the API server can't, so its controller does it a moment later
            self.preempt(job["metadata"]["name"])
        return job

    def admit(self, name: str) -> None:
        """There is quota, on nodes of a flavor."""
        self._change(name, {"suspend": False, "template": {"spec": {"nodeSelector": FLAVOR}}})

    def preempt(self, name: str) -> None:
        """Another one needs the quota. Its start is taken back, so that it may go to other nodes next time."""
        self._change(name, {"suspend": True})

        def noted() -> bool:
            status = self._corner.kubectl.get("job", name).get("status") or {}
            return any(
                item["type"] == "Suspended" and item["status"] == "True" for item in status.get("conditions", ())
            )

        wait_until("a suspended Job", noted, seconds=60, dump=self._corner.picture)
        patch = '{"status": {"startTime": null}}'
        self._corner.kubectl("patch", "job", name, "--subresource=status", "--type=merge", "--patch", patch)

    def _change(self, name: str, spec: dict[str, Any]) -> None:
        self._corner.kubectl("patch", "job", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def uninstall(self) -> None:
        """Take the policy away; it holds for the whole cluster."""
        if self._served is not None:
            for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
                self._corner.kubectl("delete", kind, self._name)


@pytest.fixture
def kueue(corner: Corner) -> Iterator[Kueue]:
    kueue = Kueue(corner)
    kueue.install()
    yield kueue
    kueue.uninstall()


def queue_up(corner: Corner, **spec: Any) -> None:
    """A TrainingJob for a LocalQueue, as a user makes it."""
    corner.kubectl.apply(
        {
            "apiVersion": "vott.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "cats", "labels": {QUEUE: "team-a", PRIORITY: "low", "other.example/label": "x"}},
            "spec": {"annotations": {"url": "https://h/a.csv"}, "model": {"url": "https://h/m"}} | spec,
        }
    )


def wait_reason(corner: Corner, reason: str) -> Any:
    def found() -> Any:
        trainingjob = corner.kubectl.get("trainingjob", "cats")
        return trainingjob if trainingjob["status"].get("reason") == reason else None

    return wait_until(f"the reason {reason}", found, seconds=60, dump=corner.picture)


def suspend(corner: Corner, held: bool) -> None:
    patch = json.dumps({"spec": {"suspend": held}})
    corner.kubectl("patch", "trainingjob", "cats", "--type=merge", "--patch", patch)


def test_a_training_waits_for_quota_and_runs_where_kueue_says(corner: Corner, kueue: Kueue) -> None:
    corner.operator()
    queue_up(corner)
    labels = kueue.hold()["metadata"]["labels"]
    assert (labels[QUEUE], labels[PRIORITY]) == ("team-a", "low")
    assert "other.example/label" not in labels
    waiting = wait_reason(corner, "WaitingForQuota")
    assert waiting["status"]["phase"] == "Suspended"
    assert "LocalQueue team-a" in (condition(waiting, "Suspended") or {})["message"]
    wait_until("no pod", lambda: not corner.pods(), seconds=60, dump=corner.picture)
    kueue.admit("cats")
    pod = corner.wait_pod()
    assert corner.kubectl.get("pod", pod)["spec"]["nodeSelector"] == FLAVOR
    corner.run_pod(pod)
    running = corner.wait_phase("Running")
    assert (condition(running, "Suspended") or {})["status"] == "False"
    job = corner.kubectl.get("job", "cats")["spec"]
    assert (job["suspend"], job["template"]["spec"]["nodeSelector"]) == (False, FLAVOR)


def test_a_training_that_kueue_preempts_waits_for_quota_and_is_no_restart(corner: Corner, kueue: Kueue) -> None:
    corner.operator()
    queue_up(corner)
    kueue.hold()
    wait_reason(corner, "WaitingForQuota")
    kueue.admit("cats")
    corner.run_pod(corner.wait_pod())
    corner.wait_phase("Running")
    kueue.preempt("cats")
    wait_reason(corner, "WaitingForQuota")
    wait_until("no pod", lambda: not corner.pods(), seconds=60, dump=corner.picture)
    assert corner.kubectl.get("job", "cats")["spec"]["suspend"] is True
    kueue.admit("cats")
    corner.run_pod(corner.wait_pod())
    running = corner.wait_phase("Running")
    assert running["status"]["restarts"] == 0
    assert "Interrupted" not in corner.kubectl("get", "events")


def test_a_training_that_its_user_holds_back_gives_up_its_place_and_queues_up_again(
    corner: Corner, kueue: Kueue
) -> None:
    corner.operator()
    queue_up(corner)
    first = kueue.hold()["metadata"]["uid"]
    kueue.admit("cats")
    corner.run_pod(corner.wait_pod())
    corner.wait_phase("Running")
    suspend(corner, True)
    wait_reason(corner, "Suspended")
    wait_until("no Job", lambda: not corner.kubectl.list("jobs"), seconds=60, dump=corner.picture)
    wait_until("no pod", lambda: not corner.pods(), seconds=60, dump=corner.picture)
    suspend(corner, False)
    assert kueue.hold(first)["metadata"]["uid"] != first
    wait_reason(corner, "WaitingForQuota")
    kueue.admit("cats")
    corner.run_pod(corner.wait_pod())
    assert corner.wait_phase("Running")["status"]["restarts"] == 0


def test_a_training_that_is_held_back_from_the_start_does_not_queue_up(corner: Corner, kueue: Kueue) -> None:
    corner.operator()
    queue_up(corner, suspend=True)
    wait_reason(corner, "Suspended")
    assert corner.kubectl.list("jobs") == []
    suspend(corner, False)
    kueue.hold()
    wait_reason(corner, "WaitingForQuota")
