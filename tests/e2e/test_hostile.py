"""Hostile messages, plugins and pods get no access that the administrator did not grant, with real images on a real kubelet."""

import json

import pytest

from demo.progress import condition
from tests.e2e import hostile
from tests.e2e.training import PYTHON, Training
from tests.support.cluster_harness import TRAINING_SECONDS, Submission

ALWAYS_REFUSED = "Nothing can allow it"


@pytest.mark.parametrize(
    ("submission", "texts"),
    [
        (hostile.annotations_from_the_metadata_service, ["169.254.169.254", ALWAYS_REFUSED]),
        (hostile.metadata_service_as_a_number, ["169.254.169.254", ALWAYS_REFUSED]),
        (hostile.annotations_from_a_service, ["10.96.0.1", "outgoing.networks"]),
        (hostile.annotations_from_a_private_address, ["192.168.1.1", "outgoing.networks"]),
        (hostile.model_to_the_metadata_service, ["169.254.169.254", ALWAYS_REFUSED]),
        (hostile.weights_from_a_private_address, ["10.0.0.5", "outgoing.networks"]),
    ],
    indirect=["submission"],
)
def test_message_with_a_forbidden_address_fails_without_a_pod(submission: Submission, texts: list[str]) -> None:
    failure, job = submission.wait_failed(), submission.wait_accepted()
    assert failure["reason"] == "AddressRefused"
    assert [text for text in texts if text not in failure["message"]] == []
    assert "SECRET" not in json.dumps(job)
    assert submission.pods() == []


@pytest.mark.parametrize("submission", [hostile.annotations_from_a_services_name], indirect=True)
def test_trainer_refuses_a_name_that_resolves_to_a_forbidden_address(submission: Submission) -> None:
    failure = submission.wait_failed()
    assert failure["reason"] == "AddressRefused"
    assert "10.96.0.1" in failure["message"]
    assert len(submission.pods()) == 1  # no retry


@pytest.mark.parametrize("submission", [hostile.images_from_the_metadata_service], indirect=True)
def test_images_at_forbidden_addresses_are_skipped_with_the_address_in_the_message(submission: Submission) -> None:
    failure = submission.wait_failed()
    assert failure["reason"] == "NoUsableImages"
    assert "169.254.169.254" in failure["message"]


@pytest.mark.parametrize(
    ("submission", "address"),
    [
        (hostile.callback_to_the_metadata_service, "169.254.169.254"),
        (hostile.callback_to_a_services_name, "10.96.0.1"),
    ],
    indirect=["submission"],
)
def test_refused_callback_is_a_condition_and_does_not_stop_the_training(submission: Submission, address: str) -> None:
    def undelivered() -> dict[str, str] | None:
        job = submission.job()
        delivered = job and condition(job, "CallbackDelivered")
        return delivered if delivered and delivered["status"] == "False" else None

    refused = submission.harness.wait("the condition CallbackDelivered", undelivered, TRAINING_SECONDS)
    job = submission.wait_accepted()
    assert condition(job, "Complete")["status"] == "True"
    assert refused["reason"] == "Refused"
    assert address in refused["message"]
    assert "SECRET" not in json.dumps(job)
    assert "SECRET" not in submission.harness.kubectl.logs(job["metadata"]["name"], lines=1000)


@pytest.mark.parametrize("training", [hostile.credential_searching_script], indirect=True)
def test_script_finds_no_credential_of_its_pod(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")  # the script fails if it finds one
    volumes = json.dumps(training.pods()[0]["spec"]["volumes"])
    assert "serviceAccountToken" in volumes  # the pod has a token


@pytest.mark.parametrize("training", [hostile.pod_token_user], indirect=True)
def test_pod_token_permits_only_the_progress_of_its_own_trainingjob(training: Training) -> None:
    answers = hostile.wait_output(training)
    assert answers.pop("own status") == 200
    assert {name: code for name, code in answers.items() if code not in (403, 422)} == {}


@pytest.mark.parametrize("training", [hostile.network_probe], indirect=True)
def test_trainer_pod_reaches_only_the_api_server_and_the_store(training: Training) -> None:
    outcomes = hostile.wait_output(training)
    reached = {name for name, outcome in outcomes.items() if outcome == "connected"}
    assert reached == {"API server", "storage"}, outcomes


@pytest.mark.parametrize("training", [hostile.network_probe], indirect=True)
def test_pod_in_another_namespace_does_not_reach_the_operator(training: Training) -> None:
    hostile.wait_output(training)
    harness = training.harness
    targets, program = json.dumps(hostile.network_targets(harness)), (hostile.PROGRAMS / "probe_network.py").read_text()
    command = ["env", f"TARGETS={targets}", PYTHON, "-c", program]
    outcomes = json.loads(hostile.neighbour_kubectl(harness)("exec", hostile.NEIGHBOUR, "--", *command))
    assert outcomes["operator"] != "connected", outcomes
    assert outcomes["kubelet"] == "connected", outcomes  # no policy applies to this pod
