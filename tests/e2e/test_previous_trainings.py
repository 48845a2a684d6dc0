"""Reuse of previous trainings: cached images, and an earlier model as initial weights."""

import re

import pytest

from tests.e2e import message_cases
from tests.e2e.model_archives import archive_of, files, metrics_file
from tests.support.cluster_harness import IMAGES, ClusterHarness, Submission


@pytest.mark.parametrize("submission", [message_cases.detection_as_json], indirect=True)
def test_second_training_takes_all_images_from_the_cache(submission: Submission) -> None:
    submission.wait_completed()
    second = submission.harness.send(parameters={"epochs": 1})
    name = second.wait_completed()["metadata"]["name"]
    assert f"{IMAGES} of them from the cache" in submission.harness.kubectl.logs(name)


def test_training_starts_with_an_earlier_model_and_hides_its_credential(harness: ClusterHarness) -> None:
    earlier_model = harness.earlier_model
    submission = harness.send(parameters={"epochs": 1, "initialWeights": earlier_model})
    name = submission.wait_completed()["metadata"]["name"]
    assert "sig=" not in harness.kubectl("get", f"tj/{name}", f"job/{name}", "--output=yaml")
    assert "sig=" not in harness.kubectl.logs(name)
    archive = archive_of(submission)
    # The credential itself: the four bytes "sig=" can also be a weight (0.0565).
    (signature,) = re.findall(r"[?&](sig=[^&]+)", earlier_model)
    assert [file for file, content in files(archive) if signature.encode() in content] == []
    notes = metrics_file(archive)["notes"]
    assert [text for text in notes if "model.tgz" in text], notes
