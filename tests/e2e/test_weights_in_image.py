"""A training starts with the weights in the trainer image, which the unprivileged user can read."""

import pytest

from localcluster.images import BAKED_WEIGHTS
from tests.e2e import training_cases
from tests.e2e.model_archives import container_and_blob, metrics_file
from tests.e2e.training import Training


@pytest.mark.parametrize("training", [training_cases.with_weights_in_image], indirect=True)
def test_training_starts_with_the_weights_in_its_image(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")
    url = training.harness.kubectl.get("trainingjob", training.name)["status"]["model"]["url"]
    notes = metrics_file(training.harness.storage.download(*container_and_blob(url)))["notes"]
    note = f"The training started from the image's weights for {BAKED_WEIGHTS} ("
    assert [text for text in notes if text.startswith(note)], notes
