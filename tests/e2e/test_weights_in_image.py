"""A training begins with the weights that its image brings, which its user may read only as everybody may."""

import pytest

from localcluster.images import BAKED_WEIGHTS
from tests.e2e import training_cases
from tests.e2e.model_archives import container_and_blob, metrics_file
from tests.e2e.training import Training


@pytest.mark.parametrize("training", [training_cases.with_the_images_weights], indirect=True)
def test_a_training_begins_with_the_weights_of_its_image(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")
    url = training.harness.kubectl.get("trainingjob", training.name)["status"]["model"]["url"]
    notes = metrics_file(training.harness.storage.download(*container_and_blob(url)))["notes"]
    begun = f"The training started from the image's weights for {BAKED_WEIGHTS} ("
    assert [note for note in notes if note.startswith(begun)], notes
