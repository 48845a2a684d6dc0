"""Suspend, resume, delete and expire a TrainingJob; its pods get SIGTERM."""

import pytest

from tests.e2e import training_cases
from tests.e2e.training import HeldTraining, Training, create_held_training
from tests.support.cluster_harness import ClusterHarness


@pytest.mark.parametrize("training", [training_cases.paused], indirect=True)
def test_suspended_training_stops_its_pod_and_completes_after_resuming(training: HeldTraining) -> None:
    first = training.wait_held()
    training.patch_spec(suspend=True)
    training.wait_status("Suspended", "Suspended")
    assert "Reason: Suspended Status: True Type: Suspended" in training.description()
    training.harness.wait("the pod's SIGTERM", lambda: training.has_flag("stopped"))

    training.release()
    training.patch_spec(suspend=False)
    training.wait_status("Complete", "TrainingSucceeded")
    assert training.pods()[-1]["metadata"]["uid"] != first["metadata"]["uid"]
    text = training.wait_description("Reason: Resumed Status: False Type: Suspended")
    assert "Restarts: 0" in text


def test_deleted_training_is_stopped_and_its_callback_gets_cancelled_once(harness: ClusterHarness) -> None:
    receiver = harness.receiver()
    training = create_held_training(harness, "cancelled", callback={"url": receiver.url})
    training.wait_held()
    harness.kubectl("delete", "tj", training.name, "--wait=false")

    training.wait_deleted()
    assert training.has_flag("stopped"), "the pod got no SIGTERM or no time to handle it"
    assert [post["state"] for post in receiver.posts if post["state"] != "running"] == ["cancelled"]


@pytest.mark.parametrize("training", [training_cases.short_lived], indirect=True)
def test_finished_training_and_its_dependents_are_deleted_after_the_ttl(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")
    assert training.uid("job")
    training.patch_spec(ttlSecondsAfterFinished=1)
    training.wait_deleted()
