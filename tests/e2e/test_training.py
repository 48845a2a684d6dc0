"""A message becomes a verified model, with progress in kubectl and at the callback URL."""

import hashlib
import json

import pytest

from demo.result import read_model
from tests.e2e import message_cases
from tests.e2e.model_archives import archive_of, container_and_blob
from tests.e2e.training import CALLBACK_FIELDS
from tests.support.cluster_harness import Submission

BOTH = [message_cases.detection_as_json, message_cases.hello_world_in_base64]


@pytest.mark.parametrize("submission", BOTH, indirect=True)
def test_message_becomes_a_complete_trainingjob_with_its_model_uploaded(submission: Submission) -> None:
    reported = submission.wait_completed()["status"]["model"]
    archive = archive_of(submission)
    assert reported["url"].endswith("/model.tgz")
    assert reported["sizeBytes"] == len(archive)
    assert reported["sha256"] == hashlib.sha256(archive).hexdigest()


@pytest.mark.parametrize("submission", [message_cases.as_vott_web_sends_it], indirect=True)
def test_vott_web_message_uploads_to_exactly_its_blob(submission: Submission) -> None:
    reported = submission.wait_completed()["status"]["model"]
    assert reported["url"].endswith(f"/{message_cases.VOTT_WEB_BLOB}")
    archive = archive_of(submission)
    assert reported["sha256"] == hashlib.sha256(archive).hexdigest()
    assert read_model(archive).labels == ("circle", "square", "triangle")


@pytest.mark.parametrize("submission", [message_cases.to_a_folder], indirect=True)
def test_url_with_a_trailing_slash_gets_single_files_and_a_manifest(submission: Submission) -> None:
    container, name = container_and_blob(submission.wait_completed()["status"]["model"]["url"])
    assert name == "cats/manifest.json"
    manifest = json.loads(submission.harness.storage.download(container, name))
    for file in manifest["files"]:
        content = submission.harness.storage.download(container, f"cats/{file['name']}")
        assert (file["sha256"], file["sizeBytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert {"report.html", "metrics.json"} <= {file["name"] for file in manifest["files"]}


@pytest.mark.parametrize("submission", [message_cases.detection_as_json], indirect=True)
def test_report_is_uploaded_beside_the_archive(submission: Submission) -> None:
    container, _ = container_and_blob(submission.wait_completed()["status"]["model"]["url"])
    assert b"</html>" in submission.harness.storage.download(container, "report.html")


@pytest.mark.parametrize("submission", [message_cases.over_service_bus], indirect=True)
def test_service_bus_message_becomes_a_model_and_is_settled(submission: Submission) -> None:
    assert submission.wait_completed()["status"]["model"]["sizeBytes"]
    harness = submission.harness

    def settled() -> bool:
        counts = harness.broker.counts(harness.name)
        return (counts.active, counts.locked) == (0, 0)

    harness.wait("an empty Service Bus queue", settled, 60)  # other tests use this queue too


@pytest.mark.parametrize("submission", BOTH, indirect=True)
def test_every_callback_has_the_six_fields_of_the_first_vott_train(submission: Submission) -> None:
    submission.wait_completed()
    posts = submission.receiver.posts
    assert [post for post in posts if not set(post) >= CALLBACK_FIELDS] == []
    assert {post["state"] for post in posts[:-1]} == {"running"}
    assert len({post["job"] for post in posts}) == 1


@pytest.mark.parametrize("submission", BOTH, indirect=True)
def test_outcome_callback_is_succeeded_with_progress_one(submission: Submission) -> None:
    name = submission.wait_completed()["metadata"]["name"]
    outcome = submission.wait_outcome_callback()
    assert (outcome["state"], outcome["progress"], outcome["job"]) == ("succeeded", 1.0, name)


@pytest.mark.parametrize("submission", [message_cases.detection_as_json], indirect=True)
def test_progress_never_decreases(submission: Submission) -> None:
    submission.wait_completed()
    fractions = [post["progress"] for post in submission.receiver.posts]
    assert fractions == sorted(fractions)


@pytest.mark.parametrize("submission", [message_cases.detection_as_json], indirect=True)
def test_detector_archive_has_weights_labels_metrics_and_a_sample(submission: Submission) -> None:
    model = read_model(archive_of(submission))
    assert model.labels == ("circle", "square", "triangle")
    assert model.metrics
    assert model.sample is not None


@pytest.mark.parametrize("submission", [message_cases.detection_as_json], indirect=True)
def test_kubectl_get_tj_shows_the_columns(submission: Submission) -> None:
    name = submission.wait_completed()["metadata"]["name"]
    header, row = submission.harness.kubectl("get", "tj", name).splitlines()
    assert header.split() == ["NAME", "STATUS", "PROGRESS", "EPOCH", "LOSS", "STALLED", "CALLBACK", "AGE"]
    assert row.split()[:2] == [name, "Complete"]
    assert row.split()[-2] == "Delivered"


@pytest.mark.parametrize("submission", [message_cases.hello_world_in_base64], indirect=True)
def test_trainingjob_is_annotated_with_its_message_and_queue(submission: Submission) -> None:
    annotations = submission.wait_accepted()["metadata"]["annotations"]
    assert annotations["vott.dev/message-id"] == submission.message_id
    assert annotations["vott.dev/queue"].endswith(f"/{submission.harness.name}")
