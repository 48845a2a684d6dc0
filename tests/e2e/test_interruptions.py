"""Pods that are killed, evicted or drained: no message and no training is lost or duplicated."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from demo.kubectl import Manifest
from tests.e2e import training_cases
from tests.e2e.training import HELLO, HeldTraining
from tests.support.cluster_harness import ClusterHarness, Submission


def kill(harness: ClusterHarness, pods: list[Manifest]) -> None:
    """Delete pods with a grace period of one second; return when their processes have ended.

    `--grace-period=0 --force` would return before the kubelet ends the processes.
    """
    harness.kubectl("delete", "pod", *(pod["metadata"]["name"] for pod in pods), "--now")


def uids(harness: ClusterHarness, kind: str, names: set[str]) -> dict[str, str]:
    """Uids by name of the objects with this kind and these names."""
    items = (item["metadata"] for item in harness.kubectl.list(kind))
    return {meta["name"]: meta["uid"] for meta in items if meta["name"] in names}


def jobs_of(harness: ClusterHarness, submissions: list[Submission]) -> list[Manifest]:
    ids = {submission.message_id for submission in submissions}
    jobs = harness.kubectl.list("trainingjobs")
    return [job for job in jobs if job["metadata"].get("annotations", {}).get("vott.dev/message-id") in ids]


def test_operator_killed_between_receive_and_settle_creates_one_trainingjob_and_job_per_message(
    harness: ClusterHarness,
) -> None:
    with harness.proxy.holding_deletes():
        submissions = [harness.send(plugin=HELLO) for _ in range(3)]
        ids = {submission.message_id for submission in submissions}
        harness.wait("a message received and not yet settled", lambda: harness.proxy.held & ids)
        held = harness.proxy.held & ids
        before = {job["metadata"]["name"]: job["metadata"]["uid"] for job in jobs_of(harness, submissions)}
        kill(harness, harness.operator_pods())

    assert before, "a TrainingJob must exist before its message is settled"
    harness.wait("an empty queue", lambda: not harness.queue.get_queue_properties().approximate_message_count)
    assert [message for message in held if len(harness.proxy.receipts(message)) < 2] == [], (
        "a message was not received again"
    )
    for submission in submissions:
        submission.wait_completed()
    names = {job["metadata"]["name"] for job in jobs_of(harness, submissions)}
    assert len(jobs_of(harness, submissions)) == len(names) == len(submissions)
    assert before.items() <= uids(harness, "trainingjobs", names).items(), "a TrainingJob was recreated"
    assert set(uids(harness, "jobs", names)) == names


def completes_in_another_pod(training: HeldTraining, first: Manifest) -> None:
    """Let it train, and check that another pod completes it. With backoffLimit 0, this shows that the interruption was no failure."""
    training.harness.wait("the pod's SIGTERM", lambda: training.has_flag("stopped"))
    training.release()
    training.wait_status("Complete", "TrainingSucceeded")
    training.wait_description("Restarts: 1")
    assert training.pods()[-1]["metadata"]["uid"] != first["metadata"]["uid"]


@pytest.mark.parametrize("training", [training_cases.evicted], indirect=True)
def test_evicted_training_continues_in_another_pod_and_counts_no_failure(training: HeldTraining) -> None:
    pod = training.wait_held()["metadata"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["name"]}}
    url = f"/api/v1/namespaces/{training.harness.name}/pods/{pod['name']}/eviction"
    training.harness.kubectl("create", f"--raw={url}", "--filename=-", stdin=json.dumps(eviction))
    training.wait_description("Interrupted")
    completes_in_another_pod(training, {"metadata": pod})


@pytest.mark.parametrize("training", [training_cases.drained], indirect=True)
def test_training_on_a_drained_node_continues_once_a_node_is_available(training: HeldTraining) -> None:
    first, kubectl = training.wait_held(), training.harness.kubectl
    node = first["spec"]["nodeName"]
    only = f"--pod-selector=vott.dev/trainingjob={training.name}"  # don't evict the other tests' pods
    try:
        kubectl("drain", node, only, "--delete-emptydir-data", "--timeout=60s")
        training.wait_status("Pending", "Unschedulable")
    finally:
        kubectl("uncordon", node)
    training.wait_description("Interrupted")
    completes_in_another_pod(training, first)


@pytest.mark.parametrize("training", [training_cases.with_deleted_job], indirect=True)
def test_manually_deleted_job_is_recreated(training: HeldTraining) -> None:
    first, job = training.wait_held(), training.uid("job")
    training.harness.kubectl("delete", "job", training.name)
    training.harness.wait("another Job", lambda: training.uid("job") not in ("", job))
    completes_in_another_pod(training, first)


@pytest.mark.parametrize("training", [training_cases.through_an_upgrade], indirect=True)
def test_training_continues_while_the_operator_is_upgraded(
    training: HeldTraining, upgrade: Callable[[dict[str, Any]], None]
) -> None:
    harness, trainer, job = training.harness, training.wait_held(), training.uid("job")
    before = {pod["metadata"]["uid"] for pod in harness.operator_pods()}
    upgrade({"terminationGracePeriodSeconds": 45})

    harness.wait(
        "the end of the old operators", lambda: not before & {pod["metadata"]["uid"] for pod in harness.operator_pods()}
    )
    training.release()
    training.wait_status("Complete", "TrainingSucceeded")
    (same,) = training.pods()
    assert (same["metadata"]["uid"], training.uid("job")) == (trainer["metadata"]["uid"], job)
    assert "Restarts: 1" not in training.description()
