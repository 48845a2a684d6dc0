"""Two pods train one model over the pod network."""

import pytest

from tests.e2e import training_cases
from tests.e2e.samples import FOLDER, Sample
from tests.e2e.training import HeldTraining, Training

TWO_NODES = Sample(FOLDER / "multi-node.yaml")


def indexes(training: Training) -> list[str]:
    """Completion indexes of the succeeded pods."""
    label = "batch.kubernetes.io/job-completion-index"
    return sorted(pod["metadata"]["labels"][label] for pod in training.pods() if pod["status"]["phase"] == "Succeeded")


@pytest.mark.parametrize("training", [TWO_NODES], indirect=True)
def test_two_nodes_train_one_model(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")
    assert indexes(training) == ["0", "1"]
    assert training.status_row()["MODEL"].endswith("/model.tgz")
    assert f"Pod Name: {training.name}-0-" in training.description()


@pytest.mark.parametrize("training", [TWO_NODES], indirect=True)
def test_headless_service_with_the_trainings_name_connects_the_nodes(training: Training) -> None:
    training.harness.wait("the headless Service", lambda: training.uid("service"))
    described = " ".join(training.harness.kubectl("describe", "service", training.name).split())
    assert "IP: None" in described
    assert f"vott.dev/trainingjob={training.name}" in described


@pytest.mark.parametrize("training", [training_cases.one_of_two_fails], indirect=True)
def test_failure_of_one_pod_restarts_all(training: HeldTraining) -> None:
    training.wait_status("Complete", "TrainingSucceeded")
    assert training.has_flag("failed")
    assert training.has_flag("stopped"), "the other pod got no SIGTERM or no time to handle it"
    text = training.description()
    assert "Restarts: 1" in text
    assert "Failures: 1" in text
    assert indexes(training) == ["0", "1"]
