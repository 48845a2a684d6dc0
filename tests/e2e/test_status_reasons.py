"""Reasons of pending, failed and stalled trainings in `kubectl get` and `kubectl describe`."""

import pytest

from demo.kubectl import Manifest
from tests.e2e import training_cases
from tests.e2e.conftest import WORK_REQUEST
from tests.e2e.training import HeldTraining, Training

WAITING = [
    (
        training_cases.bad_image,
        "ImagePullFailed",
        [training_cases.NO_SUCH_IMAGE, "can't be pulled", "access to the registry"],
    ),
    (training_cases.too_many_gpus, "Unschedulable", ["nvidia.com/gpu", "No node can take the pod"]),
    (training_cases.missing_configmap, "FailedMount", ["volume authorities", 'configmap "not-there" not found']),
    (training_cases.bad_sidecar_image, "ImagePullFailed", [training_cases.NO_SUCH_IMAGE, "of container proxy"]),
    (training_cases.endless_init_container, "PodNotStarted", ["init container proxy"]),
    (training_cases.gated, "PodNotStarted", ["SchedulingGated"]),
    (training_cases.no_disk, "Unschedulable", ["Insufficient ephemeral-storage. It starts once"]),
    (training_cases.over_quota, "QuotaExceeded", [training_cases.QUOTA, training_cases.RATIONED_GPU]),
]
FAILED = [
    (training_cases.out_of_memory, "OOMKilled", ["Raise spec.trainer.resources.limits.memory, or lower batchSize"]),
    (training_cases.bad_data, "BadAnnotations", [training_cases.BAD_LINE]),
    (training_cases.always_fails, "TrainerFailed", ["exit code 1", "Tried 2 times", "kubectl logs"]),
    (training_cases.too_slow, "DeadlineExceeded", ["spec.activeDeadlineSeconds"]),
    (training_cases.never_a_node, "PendingDeadlineExceeded", ["spec.pendingDeadlineSeconds", "nvidia.com/gpu"]),
    (training_cases.never_mounted, "PendingDeadlineExceeded", ["spec.pendingDeadlineSeconds", "not-there"]),
    (training_cases.fails_beside_a_sidecar, "TrainerFailed", ["exit code 65"]),
    (training_cases.no_model, "ModelNotReported", ["status.model"]),
    (training_cases.other_service_account, "InvalidSpec", ["spec.podTemplate.spec.serviceAccountName"]),
    (training_cases.misspelt_field, "InvalidSpec", ["priorityClasName"]),
]


@pytest.mark.parametrize(("training", "reason", "texts"), WAITING, indirect=["training"])
def test_pending_training_shows_its_reason_and_explains_it(training: Training, reason: str, texts: list[str]) -> None:
    training.wait_status("Pending", reason)
    text = training.wait_description(*texts, f"Warning {reason}")
    assert f"Reason: {reason} Status: False Type: Running" in text


@pytest.mark.parametrize(("training", "reason", "texts"), FAILED, indirect=["training"])
def test_failed_training_shows_its_reason_and_explains_it(training: Training, reason: str, texts: list[str]) -> None:
    training.wait_status("Failed", reason)
    text = training.wait_description(*texts, f"Warning {reason}")
    assert f"Reason: {reason} Status: True Type: Failed" in text


@pytest.mark.parametrize("training", [training_cases.bad_data], indirect=True)
def test_permanent_failure_is_not_retried(training: Training) -> None:
    training.wait_status("Failed")
    assert len(training.pods()) == 1
    assert "Tried" not in training.description()


@pytest.mark.parametrize("training", [training_cases.always_fails], indirect=True)
def test_program_error_is_retried_up_to_the_backoff_limit(training: Training) -> None:
    training.wait_status("Failed")
    assert len(training.pods()) == 2
    assert "Restarts: 1" in training.description()


@pytest.mark.parametrize("training", [training_cases.rejected], indirect=True)
def test_training_whose_pods_its_node_rejects_does_not_fail(training: Training) -> None:
    training.wait_status("Pending", "PodRejected")
    text = training.wait_description("rejected the pod", "nvidia.com/gpu", "does not count", "Warning PodRejected")
    assert "Reason: PodRejected Status: False Type: Running" in text

    def rejections() -> bool:
        status = training.harness.kubectl.get("tj", training.name)["status"]
        assert status["phase"] == "Pending", status
        return [item["outcome"] for item in status["attempts"]][:3] == ["Rejected"] * 3

    training.harness.wait("a third rejected pod", rejections)
    training.harness.kubectl("delete", "tj", training.name)


@pytest.mark.parametrize(
    "training", [training_cases.beside_a_sidecar, training_cases.fails_beside_a_sidecar], indirect=True
)
def test_training_beside_a_container_that_runs_on_ends_with_its_trainer(training: Training) -> None:
    fails = training.name == "fails-beside-a-sidecar"
    training.wait_status(*("Failed", "TrainerFailed") if fails else ("Complete", "TrainingSucceeded"))
    training.harness.wait("the end of its pods", lambda: not training.pods() and not training.uid("job"))


@pytest.mark.parametrize("training", [training_cases.silent], indirect=True)
def test_training_requests_disk_and_keeps_its_node(training: HeldTraining) -> None:
    pod = training.wait_held()
    assert pod["spec"]["containers"][0]["resources"]["requests"]["ephemeral-storage"] == WORK_REQUEST
    assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


@pytest.mark.parametrize("training", [training_cases.never_a_node, training_cases.too_slow], indirect=True)
def test_training_past_its_deadline_has_no_active_pod(training: Training) -> None:
    training.wait_status("Failed")

    def active() -> list[Manifest]:
        pods = training.harness.kubectl.list("pods", f"vott.dev/trainingjob={training.name}")
        return [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]

    training.harness.wait("the end of its pods", lambda: not active())


@pytest.mark.parametrize("training", [training_cases.silent], indirect=True)
def test_training_without_progress_is_stalled_until_it_reports_again(training: HeldTraining) -> None:
    training.wait_status("Running")
    training.wait_description("Reason: NoProgress Status: True Type: Stalled", "Warning NoProgress")
    training.release()
    training.wait_description("Reason: ProgressResumed Status: False Type: Stalled")
    training.wait_status("Complete", "TrainingSucceeded")
