"""Invalid messages and data: the labeller gets reason and sentence in the callback, the poison queue or a condition."""

import pytest

from tests.e2e import message_cases
from tests.support.cluster_harness import Submission


@pytest.mark.parametrize(
    ("submission", "reason", "sentence"),
    [
        (message_cases.invalid_json, "NotJSON", "not valid JSON"),
        (message_cases.missing_model, "InvalidMessage", 'Field "model" is missing'),
        (message_cases.ftp_annotations, "InvalidMessage", 'Field "annotations" is not an http(s) or s3 URL'),
    ],
    indirect=["submission"],
)
def test_invalid_message_goes_to_the_poison_queue_with_reason_and_sentence(
    submission: Submission, reason: str, sentence: str
) -> None:
    rejected = submission.wait_rejected()
    assert rejected["reason"] == reason
    assert sentence in rejected["message"]
    assert rejected["queue"] == submission.harness.name
    assert submission.job() is None


@pytest.mark.parametrize("submission", [message_cases.forbidden_plugin_over_service_bus], indirect=True)
def test_rejected_service_bus_message_is_dead_lettered_and_shown_by_queue_peek(
    submission: Submission,
) -> None:
    outcome, harness = submission.wait_outcome_callback(), submission.harness
    (letter,) = harness.wait("a dead letter", lambda: harness.broker.dead_letters(harness.name))
    assert (letter.message_id, letter.reason) == (submission.message_id, "PluginNotAllowed")
    assert outcome["message"] == letter.description
    peek = ["exec", f"deployment/{harness.name}", "--", "vott-train", "queue", "peek", f"serviceBus/{harness.name}"]
    assert "'mine-bitcoins' is not allowed here" in " ".join(harness.kubectl(*peek).split())


@pytest.mark.parametrize("submission", [message_cases.missing_model, message_cases.ftp_annotations], indirect=True)
def test_callback_of_a_rejected_message_gets_the_same_sentence(submission: Submission) -> None:
    rejected, outcome = submission.wait_rejected(), submission.wait_outcome_callback()
    assert (outcome["state"], outcome["message"]) == ("failed", rejected["message"])
    assert outcome["progress"] < 1.0


@pytest.mark.parametrize("submission", [message_cases.invalid_json], indirect=True)
def test_poison_message_has_the_original_body(submission: Submission) -> None:
    assert submission.wait_rejected()["body"].endswith('"mod')


@pytest.mark.parametrize(
    ("submission", "reason", "texts"),
    [
        (message_cases.forbidden_annotations, "AnnotationsUnreachable", ["annotations.csv", "403"]),
        (message_cases.missing_annotations, "AnnotationsUnreachable", ["annotations.csv", "404"]),
        (message_cases.broken_line, "BadAnnotations", ["annotations.csv", "line 3", "expected"]),
        (message_cases.no_usable_image, "NoUsableImages", ["missing.jpg"]),
        (message_cases.refused_upload, "UploadRefused", ["403"]),
    ],
    indirect=["submission"],
)
def test_training_with_bad_data_fails_with_reason_and_sentence(
    submission: Submission, reason: str, texts: list[str]
) -> None:
    failure = submission.wait_failed()
    assert failure["reason"] == reason
    assert [text for text in texts if text not in failure["message"]] == []


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
def test_callback_of_a_failed_training_gets_the_same_sentence(submission: Submission) -> None:
    failure, outcome = submission.wait_failed(), submission.wait_outcome_callback()
    assert (outcome["state"], outcome["message"]) == ("failed", failure["message"])


@pytest.mark.parametrize(
    "submission", [message_cases.forbidden_annotations, message_cases.refused_upload], indirect=True
)
def test_failure_texts_show_no_credential(submission: Submission) -> None:
    failure, outcome = submission.wait_failed(), submission.wait_outcome_callback()
    selector = "--selector=app.kubernetes.io/managed-by=vott-train"
    description = submission.harness.kubectl("describe", "trainingjobs", selector)
    for text in (failure["message"], outcome["message"], description):
        assert "sig=" not in text
