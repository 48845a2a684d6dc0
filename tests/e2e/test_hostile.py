"""Whoever writes messages, plugins or callbacks gets no further than the administrator says: on the real kubelet, with the real images."""

import json

import pytest

from demo.progress import condition
from tests.e2e import hostile
from tests.e2e.training import PYTHON, Training
from tests.support.cluster_harness import Submission

NEVER = "Nothing can allow it"


@pytest.mark.parametrize(
    ("submission", "words"),
    [
        (hostile.annotations_from_the_metadata_service, ["169.254.169.254", NEVER]),
        (hostile.metadata_service_as_a_number, ["169.254.169.254", NEVER]),
        (hostile.annotations_from_a_service, ["10.96.0.1", "outgoing.networks"]),
        (hostile.annotations_from_a_private_address, ["192.168.1.1", "outgoing.networks"]),
        (hostile.model_to_the_metadata_service, ["169.254.169.254", NEVER]),
        (hostile.weights_from_a_private_address, ["10.0.0.5", "outgoing.networks"]),
    ],
    indirect=["submission"],
)
def test_message_that_names_a_forbidden_address_fails_before_anything_runs(
    submission: Submission, words: list[str]
) -> None:
    failure, job = submission.wait_failed(), submission.wait_accepted()
    assert failure["reason"] == "AddressRefused"
    assert [word for word in words if word not in failure["message"]] == []
    assert "SECRET" not in json.dumps(job)
    assert submission.pods() == []


@pytest.mark.parametrize("submission", [hostile.annotations_from_a_services_name], indirect=True)
def test_name_that_leads_to_a_forbidden_address_is_found_out_by_the_trainer(submission: Submission) -> None:
    failure = submission.wait_failed()
    assert failure["reason"] == "AddressRefused"
    assert "10.96.0.1" in failure["message"]
    assert len(submission.pods()) == 1  # it is not tried again


@pytest.mark.parametrize("submission", [hostile.images_from_the_metadata_service], indirect=True)
def test_images_at_forbidden_addresses_are_left_out_with_the_rule(submission: Submission) -> None:
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
def test_refused_callback_does_not_stop_the_training_and_is_told(submission: Submission, address: str) -> None:
    def told() -> dict[str, str] | None:
        job = submission.job()
        found = job and condition(job, "CallbackDelivered")
        return found if found and found["status"] == "False" else None

    refused = submission.harness.wait("the condition CallbackDelivered", told, 480)
    job = submission.wait_accepted()
    assert condition(job, "Complete")["status"] == "True"
    assert refused["reason"] == "Refused"
    assert address in refused["message"]
    assert "SECRET" not in json.dumps(job)
    assert "SECRET" not in submission.harness.kubectl.logs(job["metadata"]["name"], lines=1000)


@pytest.mark.parametrize("training", [hostile.credential_searching_script], indirect=True)
def test_script_finds_no_credential_of_its_pod(training: Training) -> None:
    training.wait_status("Complete", "TrainingSucceeded")  # it fails where it finds one
    volumes = json.dumps(training.pods()[0]["spec"]["volumes"])
    assert "serviceAccountToken" in volumes  # there is one to be found


@pytest.mark.parametrize("training", [hostile.pod_token_user], indirect=True)
def test_pods_own_token_is_good_for_its_own_progress_and_nothing_else(training: Training) -> None:
    answers = hostile.wait_output(training)
    assert answers.pop("own status") == 200
    assert {name: code for name, code in answers.items() if code not in (403, 422)} == {}


@pytest.mark.parametrize("training", [hostile.network_probe], indirect=True)
def test_trainer_pod_reaches_the_api_server_and_the_store_and_nobody_else(training: Training) -> None:
    found = hostile.wait_output(training)
    reached = {name for name, outcome in found.items() if outcome == "connected"}
    assert reached == {"API server", "storage"}, found


@pytest.mark.parametrize("training", [hostile.network_probe], indirect=True)
def test_pod_of_another_namespace_does_not_reach_the_operator(training: Training) -> None:
    hostile.wait_output(training)
    harness = training.harness
    targets, program = json.dumps(hostile.network_targets(harness)), (hostile.PROGRAMS / "probe_network.py").read_text()
    command = ["env", f"TARGETS={targets}", PYTHON, "-c", program]
    found = json.loads(hostile.neighbour_kubectl(harness)("exec", hostile.NEIGHBOUR, "--", *command))
    assert found["operator"] != "connected", found
    assert found["kubelet"] == "connected", found  # what no policy holds gets there
