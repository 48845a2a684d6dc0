"""What `spec.podTemplate` says arrives in the pod."""

import pytest

from tests.e2e import training_cases
from tests.e2e.training import Training


@pytest.mark.parametrize("training", [training_cases.with_a_template], indirect=True)
def test_pod_has_what_the_template_says_and_all_of_the_operators_own(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")  # the pod checked environment, volume and mount itself
    described = " ".join(training.harness.kubectl("describe", "pod", training.pods()[0]["metadata"]["name"]).split())
    for words in (
        f"Priority Class Name: {training_cases.PRIORITY}",
        "team=cats:NoSchedule",
        "nvidia.com/gpu:NoSchedule",
    ):
        assert words in described
