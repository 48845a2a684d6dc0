"""A training is suspended, resumed, cancelled, and cleared away."""

import pytest

from tests.e2e import lives
from tests.e2e.training import Held, Training, hold
from tests.support.cluster_harness import ClusterHarness


@pytest.mark.parametrize("training", [lives.paused], indirect=True)
def test_suspended_training_gives_its_node_back_and_resumes_to_its_end(training: Held) -> None:
    first = training.begun()
    training.patch(suspend=True)
    training.shows("Suspended", "Suspended")
    assert "Reason: Suspended Status: True Type: Suspended" in training.described()
    training.harness.wait("the pod's word that it had SIGTERM", lambda: training.hears("stopped"))

    training.go()
    training.patch(suspend=False)
    training.shows("Complete", "TrainingSucceeded")
    assert training.pods()[-1]["metadata"]["uid"] != first["metadata"]["uid"]
    text = training.says("Reason: Resumed Status: False Type: Suspended")
    assert "Restarts: 0" in text


def test_deleted_training_is_stopped_and_its_callback_is_told_once(harness: ClusterHarness) -> None:
    receiver = harness.receiver()
    training = hold(harness, "cancelled", callback={"url": receiver.url})
    training.begun()
    harness.kubectl("delete", "tj", training.name, "--wait=false")

    training.gone()
    assert training.hears("stopped"), "the pod had no SIGTERM, or no time for it"
    assert [post["state"] for post in receiver.posts if post["state"] != "running"] == ["cancelled"]


@pytest.mark.parametrize("training", [lives.short_lived], indirect=True)
def test_ended_training_goes_with_all_that_was_made_for_it_when_its_time_is_over(training: Training) -> None:
    training.shows("Complete", "TrainingSucceeded")
    assert training.uid("job")
    training.patch(ttlSecondsAfterFinished=1)
    training.gone()
