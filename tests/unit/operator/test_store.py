"""What the operator remembers of the cluster."""

from tests.unit.operator.builders import NOW, UID, trainingjob
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.store import Store

QUEUE = "storage://account/training"


def of_content(digest: str, uid: str = UID) -> TrainingJob:
    return trainingjob(metadata={"uid": uid, "annotations": {c.ANNOTATION_QUEUE: QUEUE, c.ANNOTATION_DIGEST: digest}})


def test_a_trainingjob_is_found_by_queue_and_content() -> None:
    store, known = Store(NOW), of_content("d1")
    store.put_trainingjob(known)
    assert store.of_content(QUEUE, "d1") == [known]
    assert store.of_content("storage://other/training", "d1") == []


def test_a_trainingjob_that_is_gone_is_not_found_by_its_content() -> None:
    store, known = Store(NOW), of_content("d1")
    store.put_trainingjob(known)
    store.drop_trainingjob(known.key)
    assert store.of_content(QUEUE, "d1") == []


def test_another_trainingjob_of_the_name_has_neither_the_content_nor_the_message_of_the_first() -> None:
    store, first, second = Store(NOW), of_content("d1"), of_content("d2", "another-uid")
    store.put_trainingjob(first)
    store.note_settled(first.key)
    store.put_trainingjob(second)
    assert (store.of_content(QUEUE, "d1"), store.of_content(QUEUE, "d2")) == ([], [second])
    seen = store.observed(second.key)
    assert seen is not None
    assert not seen.message_settled


def test_pods_that_a_broken_watch_did_not_tell_the_end_of_are_forgotten() -> None:
    store, known = Store(NOW), of_content("d1")
    store.put_trainingjob(known)
    store.put_pod(known.key, {"metadata": {"name": "cats-0-abcde"}})
    store.put_pods(known.key, [{"metadata": {"name": "cats-0-fghij"}}])
    assert store.pods() == {(known.key, "cats-0-fghij")}


def test_the_end_of_an_earlier_job_does_not_hide_the_one_that_took_its_place() -> None:
    store, known = Store(NOW), of_content("d1")
    store.put_trainingjob(known)
    store.put_job(known.key, {"metadata": {"name": "cats", "uid": "second", "resourceVersion": "9"}, "spec": {}})
    store.drop_job(known.key, "first")
    assert known.key in store.jobs()
    store.drop_job(known.key, "second")
    assert known.key not in store.jobs()
