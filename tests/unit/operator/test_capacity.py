"""The limit of unfinished TrainingJobs, and each queue's share of it."""

import pytest

from tests.support.observed_state import NOW, condition, trainingjob
from vott_operator.cluster.store import Store
from vott_operator.intake.capacity import Capacity

ENDED = {"phase": "Complete", "conditions": [condition("Complete")]}


@pytest.mark.parametrize(("limit", "queues", "share"), [(1000, 0, 1000), (1000, 1, 1000), (10, 4, 3), (1, 4, 1)])
def test_queues_share_the_limit_evenly_and_each_has_some(limit: int, queues: int, share: int) -> None:
    capacity = Capacity(Store(NOW), limit, queues)
    assert (capacity.share, capacity.available) == (share, share)


def test_unfinished_trainingjobs_and_reservations_take_capacity() -> None:
    store = Store(NOW)
    capacity = Capacity(store, 3, queues=1)
    store.put_trainingjob(trainingjob())
    capacity.reserve()
    assert capacity.available == 1
    capacity.release()
    assert capacity.available == 2
    store.put_trainingjob(trainingjob(None, ENDED))
    assert capacity.available == 3


def test_no_capacity_is_left_when_other_queues_exceeded_the_limit() -> None:
    capacity = Capacity(Store(NOW), 1, queues=2)
    capacity.reserve()
    capacity.reserve()
    assert capacity.available <= 0
