"""What can't be trained is said to the labeller in a sentence: at the callback, in the poison queue or as a condition."""

import pytest

from tests.e2e import message_cases
from tests.support.cluster_harness import Submission


@pytest.mark.parametrize(
    ("submission", "reason", "sentence"),
    [
        (message_cases.invalid_json, "NotJSON", "not valid JSON"),
        (message_cases.missing_model, "InvalidMessage", 'Field "model" is missing'),
        (message_cases.ftp_annotations, "InvalidMessage", 'Field "annotations" is not an http(s) URL'),
    ],
    indirect=["submission"],
)
def test_message_that_can_never_be_trained_goes_to_the_poison_queue_with_its_reason(
    submission: Submission, reason: str, sentence: str
) -> None:
    rejected = submission.wait_rejected()
    assert rejected["reason"] == reason
    assert sentence in rejected["message"]
    assert rejected["queue"] == submission.harness.name
    assert submission.job() is None


@pytest.mark.parametrize("submission", [message_cases.forbidden_plugin_over_service_bus], indirect=True)
def test_rejected_service_bus_message_is_a_dead_letter_that_the_administrator_sees_from_the_pod(
    submission: Submission,
) -> None:
    said, harness = submission.wait_outcome_callback(), submission.harness
    (letter,) = harness.wait("a dead letter", lambda: harness.broker.dead_letters(harness.name))
    assert (letter.message_id, letter.reason) == (submission.message_id, "PluginNotAllowed")
    assert said["message"] == letter.description
    peek = ["exec", f"deployment/{harness.name}", "--", "vott-train", "queue", "peek", f"serviceBus/{harness.name}"]
    assert "'mine-bitcoins' is not allowed here" in " ".join(harness.kubectl(*peek).split())


@pytest.mark.parametrize("submission", [message_cases.missing_model, message_cases.ftp_annotations], indirect=True)
def test_rejected_message_that_names_a_callback_gets_the_same_sentence_there(submission: Submission) -> None:
    rejected, said = submission.wait_rejected(), submission.wait_outcome_callback()
    assert (said["state"], said["message"]) == ("failed", rejected["message"])
    assert said["progress"] < 1.0


@pytest.mark.parametrize("submission", [message_cases.invalid_json], indirect=True)
def test_rejected_message_is_kept_as_it_was_sent(submission: Submission) -> None:
    assert submission.wait_rejected()["body"].endswith('"mod')


@pytest.mark.parametrize(
    ("submission", "reason", "words"),
    [
        (message_cases.forbidden_annotations, "AnnotationsUnreachable", ["annotations.csv", "403"]),
        (message_cases.missing_annotations, "AnnotationsUnreachable", ["annotations.csv", "404"]),
        (message_cases.broken_line, "BadAnnotations", ["annotations.csv", "line 3", "expected"]),
        (message_cases.no_usable_image, "NoUsableImages", ["missing.jpg"]),
        (message_cases.refused_upload, "UploadRefused", ["403"]),
    ],
    indirect=["submission"],
)
def test_training_that_can_not_succeed_fails_with_reason_and_sentence(
    submission: Submission, reason: str, words: list[str]
) -> None:
    failure = submission.wait_failed()
    assert failure["reason"] == reason
    assert [word for word in words if word not in failure["message"]] == []


@pytest.mark.parametrize(
    "submission",
    [
        message_cases.forbidden_annotations,
        message_cases.missing_annotations,
        message_cases.broken_line,
        message_cases.no_usable_image,
        message_cases.refused_upload,
    ],
    indirect=True,
)
def test_failed_training_says_the_same_sentence_at_the_callback(submission: Submission) -> None:
    failure, said = submission.wait_failed(), submission.wait_outcome_callback()
    assert (said["state"], said["message"]) == ("failed", failure["message"])


@pytest.mark.parametrize(
    "submission", [message_cases.forbidden_annotations, message_cases.refused_upload], indirect=True
)
def test_no_credential_is_shown_in_what_is_said_of_a_failure(submission: Submission) -> None:
    failure, said = submission.wait_failed(), submission.wait_outcome_callback()
    of_messages = "--selector=app.kubernetes.io/managed-by=vott-train"
    described = submission.harness.kubectl("describe", "trainingjobs", of_messages)
    for text in (failure["message"], said["message"], described):
        assert "sig=" not in text
