"""What keeps a training from its end, or ends it, as `kubectl get` and `kubectl describe` tell it."""

import pytest

from demo.kubectl import Manifest
from tests.e2e import lives
from tests.e2e.training import Held, Training

WAITING = [
    (lives.bad_image, "ImagePullFailed", [lives.NO_SUCH_IMAGE, "can't be pulled", "access to the registry"]),
    (lives.too_many_gpus, "Unschedulable", ["nvidia.com/gpu", "No node can take the pod"]),
    (lives.over_quota, "QuotaExceeded", [lives.QUOTA, lives.RATIONED_GPU]),
]
FAILED = [
    (lives.out_of_memory, "OOMKilled", ["Raise spec.trainer.resources.limits.memory, or lower batchSize"]),
    (lives.bad_data, "BadAnnotations", [lives.BAD_LINE]),
    (lives.always_fails, "TrainerFailed", ["exit code 1", "Tried 2 times", "kubectl logs"]),
    (lives.too_slow, "DeadlineExceeded", ["spec.activeDeadlineSeconds"]),
    (lives.never_a_node, "PendingDeadlineExceeded", ["spec.pendingDeadlineSeconds", "nvidia.com/gpu"]),
    (lives.no_model, "ModelNotReported", ["status.model"]),
    (lives.other_service_account, "InvalidSpec", ["spec.podTemplate.spec.serviceAccountName"]),
    (lives.typing_error, "InvalidSpec", ["priorityClasName"]),
]


@pytest.mark.parametrize(("training", "reason", "words"), WAITING, indirect=["training"])
def test_waiting_training_shows_its_reason_in_the_row_and_explains_it(
    training: Training, reason: str, words: list[str]
) -> None:
    training.shows("Pending", reason)
    text = training.says(*words, f"Warning {reason}")
    assert f"Reason: {reason} Status: False Type: Running" in text


@pytest.mark.parametrize(("training", "reason", "words"), FAILED, indirect=["training"])
def test_failed_training_shows_its_reason_in_the_row_and_explains_it(
    training: Training, reason: str, words: list[str]
) -> None:
    training.shows("Failed", reason)
    text = training.says(*words, f"Warning {reason}")
    assert f"Reason: {reason} Status: True Type: Failed" in text


@pytest.mark.parametrize("training", [lives.bad_data], indirect=True)
def test_permanent_failure_is_not_tried_again(training: Training) -> None:
    training.shows("Failed")
    assert len(training.pods()) == 1
    assert "Tried" not in training.described()


@pytest.mark.parametrize("training", [lives.always_fails], indirect=True)
def test_program_error_is_tried_again_as_often_as_the_limit_says(training: Training) -> None:
    training.shows("Failed")
    assert len(training.pods()) == 2
    assert "Restarts: 1" in training.described()


@pytest.mark.parametrize("training", [lives.never_a_node, lives.too_slow], indirect=True)
def test_training_that_ran_into_a_deadline_holds_no_pod(training: Training) -> None:
    training.shows("Failed")

    def active() -> list[Manifest]:
        pods = training.harness.kubectl.list("pods", f"vott.dev/trainingjob={training.name}")
        return [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]

    training.harness.wait("the end of its pods", lambda: not active())


@pytest.mark.parametrize("training", [lives.silent], indirect=True)
def test_training_without_news_is_shown_as_stalled_until_it_reports_again(training: Held) -> None:
    training.shows("Running")
    training.says("Reason: NoProgress Status: True Type: Stalled", "Warning NoProgress")
    training.go()
    training.says("Reason: ProgressResumed Status: False Type: Stalled")
    training.shows("Complete", "TrainingSucceeded")
