"""The body of a callback is the same from both images."""

import pytest

from vott_guard.callback_payload import CallbackBody, CallbackState
from vott_messaging.callbacks.payload import ProgressReport
from vott_messaging.callbacks.payload import payload as operators_payload
from vott_trainer.progress.callback import payload as trainers_payload
from vott_trainer.progress.snapshot import Snapshot


def test_the_first_vott_trains_six_fields_are_followed_by_three() -> None:
    assert list(CallbackBody(job="cats", state="running", message="Starting").to_json().items()) == [
        ("progress", 0.0),
        ("epoch_current", 0),
        ("epoch_total", 0),
        ("step_current", 0),
        ("step_total", 0),
        ("classification_loss", None),
        ("job", "cats"),
        ("state", "running"),
        ("message", "Starting"),
    ]


@pytest.mark.parametrize("state", ["running", "failed"])
def test_operator_and_trainer_post_the_same_for_the_same_progress(state: CallbackState) -> None:
    snapshot = Snapshot(0.42, epoch_current=3, epoch_total=10, step_current=7, step_total=25, classification_loss=0.25)
    report = ProgressReport(
        percent=42, epoch_current=3, epoch_total=10, step_current=7, step_total=25, classification_loss=0.25
    )
    assert trainers_payload(snapshot, "cats", state, "Why.") == operators_payload("cats", state, "Why.", report)


def test_before_the_first_report_they_post_the_same_too() -> None:
    assert trainers_payload(Snapshot(), "cats", "failed", "Why.") == operators_payload("cats", "failed", "Why.", None)
