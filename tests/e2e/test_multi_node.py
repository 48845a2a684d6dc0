"""Two pods train one model over the pod network."""

import re

import pytest

from tests.e2e import training_cases
from tests.e2e.model_archives import container_and_blob, metrics_file
from tests.e2e.samples import FOLDER, Sample
from tests.e2e.training import HeldTraining, Training

TWO_NODES = Sample(FOLDER / "multi-node.yaml")


def created_indexes(training: Training) -> list[str]:
    """Completion indexes of all pods that its Jobs have created. The success of pod 0 is the Job's, which may delete pod 1 before it ends."""
    events = training.harness.kubectl(
        "get",
        "events",
        f"--field-selector=involvedObject.kind=Job,involvedObject.name={training.name},reason=SuccessfulCreate",
        "--output=jsonpath={.items[*].message}",
    )
    return sorted(re.findall(rf"{training.name}-(\d)-", events))


@pytest.mark.parametrize("training", [TWO_NODES], indirect=True)
def test_two_nodes_train_one_model(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")
    assert created_indexes(training) == ["0", "1"]
    url = training.harness.kubectl.get("trainingjob", training.name)["status"]["model"]["url"]
    assert metrics_file(training.harness.storage.download(*container_and_blob(url)))["processes"] == 2
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
    assert created_indexes(training) == ["0", "0", "1", "1"]
