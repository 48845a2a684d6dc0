"""The room of each queue: unfinished TrainingJobs, and those that wait for quota."""

from typing import Any

import pytest

from tests.support.observed_state import NOW, condition, trainingjob
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.store import Store
from vott_operator.intake.capacity import Capacity
from vott_operator.settings.queue import QueueLimits

ENDED = {"phase": "Complete", "conditions": [condition("Complete")]}
QUEUE, OTHER = "storage://account/team-a", "storage://account/team-b"
LIMITS = QueueLimits(unfinished=3, waiting_for_quota=5)


def of_queue(name: str, queue: str | None = QUEUE, status: dict[str, Any] | None = None) -> TrainingJob:
    annotations = {} if queue is None else {c.ANNOTATION_QUEUE: queue}
    return trainingjob(None, status, {"name": name, "annotations": annotations})


def waiting(reason: str) -> dict[str, Any]:
    return {"phase": "Pending", "reason": reason}


def test_unfinished_trainingjobs_and_reservations_take_room() -> None:
    store = Store(NOW)
    capacity = Capacity(store, QUEUE, LIMITS)
    store.put_trainingjob(of_queue("a"))
    capacity.reserve()
    assert capacity.available == 1
    capacity.release()
    assert capacity.available == 2
    store.put_trainingjob(of_queue("a", status=ENDED))
    assert capacity.available == 3


@pytest.mark.parametrize("queue", [OTHER, None], ids=["of another queue", "made by hand"])
def test_trainingjobs_that_are_not_of_the_queue_take_none_of_its_room(queue: str | None) -> None:
    store = Store(NOW)
    capacity = Capacity(store, QUEUE, LIMITS)
    for number in range(10):
        store.put_trainingjob(of_queue(str(number), queue))
    assert (capacity.unfinished, capacity.available) == (0, 3)


@pytest.mark.parametrize("reason", [c.JOB_SUSPENDED, c.WAITING_FOR_QUOTA, c.QUOTA_EXCEEDED])
def test_trainingjobs_that_wait_for_quota_leave_room_for_those_that_can_run(reason: str) -> None:
    store = Store(NOW)
    capacity = Capacity(store, QUEUE, LIMITS)
    for number in range(2):
        store.put_trainingjob(of_queue(str(number), status=waiting(reason)))
    assert (capacity.unfinished, capacity.waiting_for_quota, capacity.available) == (0, 2, 3)


def test_trainingjobs_that_wait_for_quota_do_not_grow_without_end() -> None:
    store = Store(NOW)
    capacity = Capacity(store, QUEUE, LIMITS)
    for number in range(4):
        store.put_trainingjob(of_queue(str(number), status=waiting(c.WAITING_FOR_QUOTA)))
    assert capacity.available == 1
    capacity.reserve()
    assert capacity.available == 0


def test_a_trainingjob_that_gets_its_quota_counts_as_unfinished_again() -> None:
    store = Store(NOW)
    capacity = Capacity(store, QUEUE, LIMITS)
    for reason in (c.WAITING_FOR_QUOTA, c.TRAINER_RUNNING):
        store.put_trainingjob(of_queue("a", status=waiting(reason)))
    assert (capacity.unfinished, capacity.waiting_for_quota) == (1, 0)


def test_a_deleted_or_replaced_trainingjob_takes_no_room() -> None:
    store = Store(NOW)
    capacity = Capacity(store, QUEUE, LIMITS)
    store.put_trainingjob(of_queue("a"))
    store.put_trainingjob(of_queue("a", OTHER).model_copy())
    assert capacity.unfinished == 0
    store.put_trainingjob(of_queue("a"))
    store.drop_trainingjob(of_queue("a").key)
    assert capacity.unfinished == 0
