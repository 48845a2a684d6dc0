"""Duplicate detection by content, queue and age."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.observed_state import NOW, condition, trainingjob
from vott_guard.timestamps import timestamp
from vott_messaging.queues.base import Delivery
from vott_operator.api import constants as c
from vott_operator.cluster.store import Store
from vott_operator.intake.duplicates import Duplicates

QUEUE = "storage://account/training"
FAILED: dict[str, Any] = {"phase": "Failed", "conditions": [condition("Failed")]}
COMPLETE: dict[str, Any] = {"phase": "Complete", "conditions": [condition("Complete")]}
NOT_FAILED = pytest.mark.parametrize("status", [{}, {"phase": "Running"}, COMPLETE], ids=["new", "running", "complete"])


def duplicates(status: dict[str, Any], window_seconds: int = 600, **metadata: str) -> Duplicates:
    """After message `1` with content `d1` created a TrainingJob a minute ago."""
    annotations = {c.ANNOTATION_QUEUE: QUEUE, c.ANNOTATION_DIGEST: "d1", c.ANNOTATION_MESSAGE_ID: "1"}
    created = timestamp(NOW - timedelta(minutes=1))
    store = Store(NOW)
    store.put_trainingjob(
        trainingjob(None, status, {"annotations": annotations, "creationTimestamp": created} | metadata)
    )
    return Duplicates(store, QUEUE, window_seconds, lambda: NOW)


def message(message_id: str) -> Delivery:
    return Delivery(message_id, b"{}", attempt=1, lock_seconds=30.0, handle=None)


@NOT_FAILED
def test_another_message_of_the_same_content_is_a_duplicate_within_the_window(status: dict[str, Any]) -> None:
    assert duplicates(status).find("d1", message("2")) is not None
    assert duplicates(status, window_seconds=60).find("d1", message("2")) is not None
    assert duplicates(status, window_seconds=59).find("d1", message("2")) is None
    assert duplicates(status).find("d2", message("2")) is None


def test_a_message_is_not_its_own_duplicate() -> None:
    assert duplicates({}).find("d1", message("1")) is None


def test_a_message_may_retry_a_failed_training() -> None:
    assert duplicates(FAILED).find("d1", message("2")) is None


@NOT_FAILED
def test_a_message_may_retry_a_training_that_is_being_deleted(status: dict[str, Any]) -> None:
    assert duplicates(status, deletionTimestamp=timestamp(NOW)).find("d1", message("2")) is None


def test_a_queue_without_a_window_has_no_duplicates() -> None:
    assert not duplicates({}, window_seconds=0).is_enabled
