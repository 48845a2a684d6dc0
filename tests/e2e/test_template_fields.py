"""Fields of `spec.podTemplate` arrive in the pod."""

import pytest

from tests.e2e import training_cases
from tests.e2e.training import Training


@pytest.mark.parametrize("training", [training_cases.with_pod_template], indirect=True)
def test_pod_has_the_fields_of_the_template_and_of_the_operator(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")  # the pod checked the variable and the mounted file itself
    description = " ".join(training.harness.kubectl("describe", "pod", training.pods()[0]["metadata"]["name"]).split())
    for text in (
        f"Priority Class Name: {training_cases.PRIORITY}",
        "team=cats:NoSchedule",
        "nvidia.com/gpu:NoSchedule",
    ):
        assert text in description
