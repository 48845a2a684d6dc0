"""Integration with Kueue: the operator respects the fields that Kueue sets on a Job, on a real API server with a Job controller.

The tests simulate Kueue (https://kueue.sigs.k8s.io/docs/tasks/run/jobs/): its webhook suspends a new Job that names a LocalQueue, and
its controller starts the Job with the node labels of a flavor that has quota, or suspends it again for another one.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.operator_harness import OperatorHarness, condition
from tests.support.waiting import wait_until

QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
FLAVOR = {"cloud.example/gpu": "a100"}
GROUP = "admissionregistration.k8s.io"


class Kueue:
    """Simulates Kueue's webhook and controller."""

    def __init__(self, harness: OperatorHarness) -> None:
        self._harness = harness
        self._name = f"kueue-{harness.name}"
        versions = harness.kubectl("api-resources", f"--api-group={GROUP}", "--no-headers").splitlines()
        self._served = next((line.split()[-3] for line in versions if "mutatingadmissionpolicies " in line), None)

    def install(self) -> None:
        """Install the webhook, as a MutatingAdmissionPolicy if the API server serves them."""
        if self._served is None:
            return
        rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self._harness.name}}
        mutation = {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": "Object{spec: Object.spec{suspend: true}}"},
        }
        policy = {
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": selector,
                "objectSelector": {"matchExpressions": [{"key": QUEUE, "operator": "Exists"}]},
            },
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [mutation],
        }
        self._apply("MutatingAdmissionPolicy", policy)
        self._apply("MutatingAdmissionPolicyBinding", {"policyName": self._name})
        self._wait_for_policy()

    def _apply(self, kind: str, spec: dict[str, Any]) -> None:
        self._harness.kubectl.apply(
            {"apiVersion": self._served, "kind": kind, "metadata": {"name": self._name}, "spec": spec}
        )

    def _wait_for_policy(self) -> None:
        """Wait until the API server applies the policy."""
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
        labels = {QUEUE: "probe"}
        probe = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe", "labels": labels}}

        def is_applied() -> bool:
            text = json.dumps(probe | {"spec": {"template": template}})
            created = json.loads(
                self._harness.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=text)
            )
            return bool(created["spec"].get("suspend"))

        wait_until("the policy", is_applied, seconds=60)

    def wait_suspended(self, previous_uid: str = "") -> Any:
        """Wait for a Job other than `previous_uid`, suspended for lack of quota; return it."""

        def new_job() -> Any:
            jobs = self._harness.kubectl.list("jobs", "vott.dev/trainingjob")
            return next((job for job in jobs if job["metadata"]["uid"] != previous_uid), None)

        job = wait_until("a Job", new_job, seconds=60, dump=self._harness.diagnostics)
        if self._served is None:  # without policies, suspend it after its creation
            self.preempt(job["metadata"]["name"])
        return job

    def admit(self, name: str) -> None:
        """Start the Job on the nodes of a flavor, as Kueue does once there is quota."""
        self._change(name, {"suspend": False, "template": {"spec": {"nodeSelector": FLAVOR}}})

    def preempt(self, name: str) -> None:
        """Suspend the Job for another one, and reset its start time, so that it may get other nodes next time."""
        self._change(name, {"suspend": True})

        def is_suspended() -> bool:
            status = self._harness.kubectl.get("job", name).get("status") or {}
            return any(
                item["type"] == "Suspended" and item["status"] == "True" for item in status.get("conditions", ())
            )

        wait_until("a suspended Job", is_suspended, seconds=60, dump=self._harness.diagnostics)
        patch = '{"status": {"startTime": null}}'
        self._harness.kubectl("patch", "job", name, "--subresource=status", "--type=merge", "--patch", patch)

    def _change(self, name: str, spec: dict[str, Any]) -> None:
        self._harness.kubectl("patch", "job", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def uninstall(self) -> None:
        """Remove the policy, because it is cluster-wide."""
        if self._served is not None:
            for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
                self._harness.kubectl("delete", kind, self._name)


@pytest.fixture
def kueue(harness: OperatorHarness) -> Iterator[Kueue]:
    kueue = Kueue(harness)
    kueue.install()
    yield kueue
    kueue.uninstall()


def create_queued(harness: OperatorHarness, **spec: Any) -> None:
    """Create TrainingJob `cats` with a LocalQueue, as a user does."""
    harness.kubectl.apply(
        {
            "apiVersion": "vott.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "cats", "labels": {QUEUE: "team-a", PRIORITY: "low", "other.example/label": "x"}},
            "spec": {"annotations": {"url": "https://h/a.csv"}, "model": {"url": "https://h/m"}} | spec,
        }
    )


def wait_reason(harness: OperatorHarness, reason: str) -> Any:
    def with_reason() -> Any:
        trainingjob = harness.kubectl.get("trainingjob", "cats")
        return trainingjob if trainingjob["status"].get("reason") == reason else None

    return wait_until(f"the reason {reason}", with_reason, seconds=60, dump=harness.diagnostics)


def suspend(harness: OperatorHarness, value: bool) -> None:
    patch = json.dumps({"spec": {"suspend": value}})
    harness.kubectl("patch", "trainingjob", "cats", "--type=merge", "--patch", patch)


def test_a_training_waits_for_quota_and_runs_on_the_flavors_nodes(harness: OperatorHarness, kueue: Kueue) -> None:
    harness.operator()
    create_queued(harness)
    labels = kueue.wait_suspended()["metadata"]["labels"]
    assert (labels[QUEUE], labels[PRIORITY]) == ("team-a", "low")
    assert "other.example/label" not in labels
    waiting = wait_reason(harness, "WaitingForQuota")
    assert waiting["status"]["phase"] == "Suspended"
    assert "LocalQueue team-a" in (condition(waiting, "Suspended") or {})["message"]
    wait_until("no pod", lambda: not harness.pods(), seconds=60, dump=harness.diagnostics)
    kueue.admit("cats")
    pod = harness.wait_pod()
    assert harness.kubectl.get("pod", pod)["spec"]["nodeSelector"] == FLAVOR
    harness.run_pod(pod)
    running = harness.wait_phase("Running")
    assert (condition(running, "Suspended") or {})["status"] == "False"
    job = harness.kubectl.get("job", "cats")["spec"]
    assert (job["suspend"], job["template"]["spec"]["nodeSelector"]) == (False, FLAVOR)


def test_a_preempted_training_waits_for_quota_and_counts_no_restart(harness: OperatorHarness, kueue: Kueue) -> None:
    harness.operator()
    create_queued(harness)
    kueue.wait_suspended()
    wait_reason(harness, "WaitingForQuota")
    kueue.admit("cats")
    harness.run_pod(harness.wait_pod())
    harness.wait_phase("Running")
    kueue.preempt("cats")
    wait_reason(harness, "WaitingForQuota")
    wait_until("no pod", lambda: not harness.pods(), seconds=60, dump=harness.diagnostics)
    assert harness.kubectl.get("job", "cats")["spec"]["suspend"] is True
    kueue.admit("cats")
    harness.run_pod(harness.wait_pod())
    running = harness.wait_phase("Running")
    assert running["status"]["restarts"] == 0
    assert "Interrupted" not in harness.kubectl("get", "events")


def test_a_training_suspended_by_its_user_leaves_the_queue_and_joins_it_again(
    harness: OperatorHarness, kueue: Kueue
) -> None:
    harness.operator()
    create_queued(harness)
    first = kueue.wait_suspended()["metadata"]["uid"]
    kueue.admit("cats")
    harness.run_pod(harness.wait_pod())
    harness.wait_phase("Running")
    suspend(harness, True)
    wait_reason(harness, "Suspended")
    wait_until("no Job", lambda: not harness.kubectl.list("jobs"), seconds=60, dump=harness.diagnostics)
    wait_until("no pod", lambda: not harness.pods(), seconds=60, dump=harness.diagnostics)
    suspend(harness, False)
    assert kueue.wait_suspended(first)["metadata"]["uid"] != first
    wait_reason(harness, "WaitingForQuota")
    kueue.admit("cats")
    harness.run_pod(harness.wait_pod())
    assert harness.wait_phase("Running")["status"]["restarts"] == 0


def test_a_training_suspended_from_the_start_does_not_join_the_queue(harness: OperatorHarness, kueue: Kueue) -> None:
    harness.operator()
    create_queued(harness, suspend=True)
    wait_reason(harness, "Suspended")
    assert harness.kubectl.list("jobs") == []
    suspend(harness, False)
    kueue.wait_suspended()
    wait_reason(harness, "WaitingForQuota")
