"""Trainings that never start or never end, with the pods' status and Events as a kubelet writes them."""

import json
from typing import Any

import pytest

from demo.callbacks import CallbackReceiver
from tests.support.examples import REPORTED_MODEL, message
from tests.support.operator_harness import OperatorHarness, condition
from tests.support.waiting import wait_until

NO_CONFIGMAP = 'MountVolume.SetUp failed for volume "authorities" : configmap "not-there" not found'
HANGS = {"trainer": {"image": "trainer:1", "stalledAfterSeconds": 1, "restartStalledAfterSeconds": 2}}
NODE = "gpu-1"


def wait_reason(harness: OperatorHarness, reason: str) -> dict[str, Any]:
    """Wait until the only TrainingJob is pending for this reason; return its condition Running."""

    def probe() -> dict[str, Any] | None:
        (trainingjob,) = harness.trainingjobs()
        status, running = trainingjob["status"], condition(trainingjob, "Running")
        assert status.get("phase") not in ("Complete", "Failed"), harness.diagnostics()
        return running if running and status.get("reason") == reason else None

    return wait_until(f"reason {reason}", probe, seconds=90, dump=harness.diagnostics)


def wait_no_job(harness: OperatorHarness) -> None:
    wait_until("no Job", lambda: not harness.kubectl.list("jobs"), seconds=60, dump=harness.diagnostics)


def wait_new_pod(harness: OperatorHarness, *earlier: str) -> str:
    """Wait for a pending pod other than these; return its name."""

    def probe() -> str | None:
        names = (pod["metadata"]["name"] for pod in harness.pods() if pod["status"]["phase"] == "Pending")
        return next((str(name) for name in names if name not in earlier), None)

    return wait_until("another pod", probe, seconds=90, dump=harness.diagnostics)


def test_a_volume_that_cannot_be_mounted_is_a_reason(harness: OperatorHarness) -> None:
    harness.operator()
    harness.create_trainingjob("cats")
    pod = harness.wait_pod()
    harness.bind_pod(pod, NODE)
    harness.warn_about_pod(pod, "FailedMount", NO_CONFIGMAP)
    assert 'volume authorities: configmap "not-there" not found' in wait_reason(harness, "FailedMount")["message"]


def test_the_trainers_success_ends_a_training_whose_sidecar_runs_on(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.send(message(status=receiver.url))
    pod = harness.wait_pod()
    harness.run_pod(pod)
    name = harness.wait_phase("Running")["metadata"]["name"]
    assert harness.report(pod, name, {"model": REPORTED_MODEL}).ok
    harness.end_trainer(pod, 0, "proxy")
    harness.wait_phase("Complete")
    wait_until("the outcome", lambda: receiver.last_state == "succeeded", seconds=60, dump=harness.diagnostics)
    wait_no_job(harness)


def test_the_trainers_failure_is_retried_although_its_sidecar_runs_on(harness: OperatorHarness) -> None:
    harness.operator()
    harness.create_trainingjob("cats", backoffLimit=1)
    first = harness.wait_pod()
    harness.end_trainer(first, 1, "proxy")
    harness.run_pod(wait_new_pod(harness, first))
    status = harness.wait_phase("Running")["status"]
    assert (status["failures"], status["restarts"]) == (1, 1)


def test_a_node_that_rejects_pods_fails_no_training_and_is_avoided(harness: OperatorHarness) -> None:
    harness.operator()
    harness.create_trainingjob("cats", backoffLimit=1)
    first = harness.wait_pod()
    harness.bind_pod(first, NODE)
    harness.reject_pod(first)
    assert f"Node {NODE} rejected the pod" in wait_reason(harness, "PodRejected")["message"]
    second = wait_new_pod(harness, first)
    harness.bind_pod(second, NODE)
    harness.reject_pod(second)
    third = wait_new_pod(harness, first, second)
    affinity = harness.kubectl.get("pod", third)["spec"]["affinity"]["nodeAffinity"]
    (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["preference"]["matchExpressions"][0]["values"] == [NODE]
    harness.run_pod(third)
    assert [item["outcome"] for item in harness.wait_phase("Running")["status"]["attempts"]] == ["Rejected"] * 2


def test_evictions_have_a_limit_that_survives_the_operator_and_the_pods(harness: OperatorHarness) -> None:
    operator = harness.operator()
    harness.create_trainingjob("cats", backoffLimit=0)
    first = harness.wait_pod()
    earlier = {"outcome": "Evicted", "reason": "Evicted", "created": "2026-01-01T00:00:00Z"}
    attempts = [earlier | {"podName": f"cats-0-{number}"} for number in range(3)]
    patch = json.dumps({"status": {"attempts": attempts}})
    harness.kubectl("patch", "trainingjob", "cats", "--subresource=status", "--type=merge", "--patch", patch)
    harness.evict_pod(first)
    wait_until("a fourth attempt", lambda: len(harness.trainingjobs()[0]["status"]["attempts"]) == 4)
    operator.kill()
    operator.wait()
    harness.kubectl("delete", "pod", first)
    harness.operator()
    assert harness.trainingjobs()[0]["status"]["phase"] == "Pending"
    harness.evict_pod(wait_new_pod(harness, first))
    failed = condition(harness.wait_phase("Failed"), "Failed") or {}
    assert failed["reason"] == "Evicted"
    assert "low on resource: ephemeral-storage" in failed["message"]
    wait_no_job(harness)


@pytest.mark.parametrize("harness", [HANGS], indirect=True)
def test_a_trainer_that_hangs_is_ended(harness: OperatorHarness) -> None:
    harness.operator()
    harness.create_trainingjob("cats", backoffLimit=0)
    harness.run_pod(harness.wait_pod())
    patch = json.dumps({"status": {"progress": {"epochCurrent": 1}}})
    harness.kubectl("patch", "trainingjob", "cats", "--subresource=status", "--type=merge", "--patch", patch)
    assert harness.wait_phase("Failed")["status"]["reason"] == "NoProgress"
    wait_no_job(harness)


def test_the_scheduler_and_the_autoscalers_know_what_a_training_needs(harness: OperatorHarness) -> None:
    harness.operator()
    harness.create_trainingjob("cats")
    pod = harness.kubectl.get("pod", harness.wait_pod())
    assert pod["spec"]["containers"][0]["resources"]["requests"]["ephemeral-storage"] == "10Gi"
    assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
