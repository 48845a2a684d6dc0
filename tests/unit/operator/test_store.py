"""The watch cache: what it finds, replaces and drops, and how much memory it takes."""

import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest

from tests.support.observed_state import NOW, UID, complete_status, trainingjob
from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.store import Kind, Listed, Store

QUEUE = "storage://account/training"


def with_content(digest: str, uid: str = UID) -> TrainingJob:
    """A TrainingJob from a message with this content."""
    return trainingjob(metadata={"uid": uid, "annotations": {c.ANNOTATION_QUEUE: QUEUE, c.ANNOTATION_DIGEST: digest}})


def test_a_trainingjob_is_found_by_queue_and_content() -> None:
    store, tj = Store(NOW), with_content("d1")
    store.put_trainingjob(tj)
    assert store.find_by_content(QUEUE, "d1") == [tj]
    assert store.find_by_content("storage://other/training", "d1") == []


def test_a_deleted_trainingjob_is_not_found_by_its_content() -> None:
    store, tj = Store(NOW), with_content("d1")
    store.put_trainingjob(tj)
    store.drop_trainingjob(tj.key)
    assert store.find_by_content(QUEUE, "d1") == []


def test_a_successor_of_the_same_name_inherits_neither_content_nor_settled_message() -> None:
    store, first, second = Store(NOW), with_content("d1"), with_content("d2", "another-uid")
    store.put_trainingjob(first)
    store.mark_settled(first.key)
    store.put_trainingjob(second)
    assert (store.find_by_content(QUEUE, "d1"), store.find_by_content(QUEUE, "d2")) == ([], [second])
    observed = store.observed(second.key)
    assert observed is not None
    assert not observed.message_settled


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    store = Store(NOW)
    assert store.put_trainingjob(trainingjob(metadata={"resourceVersion": "10"}))
    assert store.put_trainingjob(trainingjob(metadata={"resourceVersion": "10"}))
    assert not store.put_trainingjob(trainingjob(metadata={"resourceVersion": "9"}))
    stored = store.trainingjob(trainingjob().key)
    assert stored is not None
    assert stored.metadata.resource_version == "10"


@pytest.mark.parametrize(("seconds", "may_have_had_job"), [(-1, True), (0, True), (1, False)])
def test_only_a_trainingjob_from_before_the_start_may_have_had_an_unseen_job(
    seconds: int, may_have_had_job: bool
) -> None:
    store, created = Store(NOW), timestamp(NOW + timedelta(seconds=seconds))
    store.put_trainingjob(trainingjob(metadata={"creationTimestamp": created}))
    observed = store.observed(trainingjob().key)
    assert observed is not None
    assert observed.may_have_had_job == may_have_had_job


def test_a_list_drops_pods_whose_deletion_the_watch_missed() -> None:
    store, tj = Store(NOW), with_content("d1")
    store.put_trainingjob(tj)
    store.put_pod(tj.key, {"metadata": {"name": "cats-0-abcde"}})
    store.put_pods(tj.key, [{"metadata": {"name": "cats-0-fghij"}}])
    assert store.pods() == {(tj.key, "cats-0-fghij")}


def test_the_deletion_of_an_earlier_job_does_not_drop_its_successor() -> None:
    store, tj = Store(NOW), with_content("d1")
    store.put_trainingjob(tj)
    store.put_job(tj.key, {"metadata": {"name": "cats", "uid": "second", "resourceVersion": "9"}, "spec": {}})
    store.drop_job(tj.key, "first")
    assert store.stored(Kind.JOB, tj.key.namespace) == {(tj.key, "")}
    store.drop_job(tj.key, "second")
    assert store.stored(Kind.JOB, tj.key.namespace) == set()


def test_a_version_that_does_not_match_the_schema_is_not_missed() -> None:
    store, metadata = Store(NOW), {"name": "cats", "namespace": "training", "uid": UID}
    store.put_trainingjob(trainingjob(metadata={"resourceVersion": "8"}))
    store.put_invalid(trainingjob().key, "9")
    versions = [Listed.of(Kind.TRAININGJOB, metadata | {"resourceVersion": version}) for version in ("9", "10")]
    assert [store.is_behind(version) for version in versions] == [False, True]


# ------------------------------------------------------------------------------------------------------------ memory

LARGE: dict[str, Any] = {"list": [{}] * 21_000}
"""64 KB as JSON, 1.4 MB when parsed."""
KUBECTLS_COPY = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 64_000}
COUNT = 50


def memory_of(count: int, **fields: dict[str, Any]) -> float:
    """KiB of each of so many TrainingJobs in a Store."""
    store = Store(NOW)
    tracemalloc.start()
    try:
        for number in range(count):
            metadata = {"name": f"cats-{number}", "uid": f"{UID}-{number}"} | fields.get("metadata", {})
            item = trainingjob(json.loads(json.dumps(fields.get("spec", {}))), fields.get("status"), metadata)
            store.put_trainingjob(item)
        del item
        return tracemalloc.get_traced_memory()[0] / 1024 / count
    finally:
        tracemalloc.stop()


def test_large_parameters_take_no_more_memory_than_their_json() -> None:
    assert memory_of(COUNT, spec={"parameters": LARGE}) < 120


def test_a_finished_trainingjob_takes_a_few_kilobytes_whatever_its_parameters_and_annotations() -> None:
    spec = {"parameters": LARGE, "podTemplate": {"spec": LARGE}}
    assert memory_of(COUNT, spec=spec, status=complete_status(), metadata={"annotations": KUBECTLS_COPY}) < 8


@pytest.mark.parametrize("status", [{}, complete_status()], ids=["unfinished", "finished"])
def test_a_trainingjob_is_observed_as_it_was_stored(status: dict[str, Any]) -> None:
    store = Store(NOW)
    item = trainingjob(
        {"parameters": {} if status else {"a": [1, {"b": None}]}, "callback": {"url": "https://h/c"}}, status
    )
    store.put_trainingjob(item)
    observed = store.observed(item.key)
    assert observed is not None
    assert observed.trainingjob.model_dump() == item.model_dump()


def test_an_unfinished_trainingjob_keeps_what_its_job_is_made_from() -> None:
    spec = {"parameters": {"epochs": 3}, "podTemplate": {"spec": {"priorityClassName": "high"}}}
    store, item = Store(NOW), trainingjob(spec)
    store.put_trainingjob(item)
    stored = store.trainingjob(item.key)
    assert stored is not None
    assert stored.spec == item.spec


HELD = {"finalizers": [c.FINALIZER]}


def test_a_namespace_has_finalizers_until_its_last_trainingjob_is_released_or_dropped() -> None:
    store, first = Store(NOW), trainingjob(metadata=HELD)
    second = trainingjob(metadata=HELD | {"name": "dogs"})
    assert not store.has_finalizers(first.key.namespace)
    store.put_trainingjob(first)
    store.put_trainingjob(second)
    store.put_trainingjob(trainingjob(metadata={"resourceVersion": "8"}))
    assert store.has_finalizers(first.key.namespace)
    assert not store.has_finalizers("another")
    store.drop_trainingjob(second.key)
    assert not store.has_finalizers(first.key.namespace)


@pytest.mark.parametrize("end", ["released", "dropped", "replaced"])
def test_a_callback_url_is_forgotten_with_its_trainingjob(end: str) -> None:
    store, tj = Store(NOW), trainingjob(metadata=HELD)
    store.put_callback_url(tj, "https://h/s?token=T")
    assert store.callback_url(tj) is None  # it is not stored
    store.put_trainingjob(tj)
    store.put_callback_url(tj, "https://h/s?token=T")
    assert store.callback_url(tj) == "https://h/s?token=T"
    if end == "released":
        store.put_trainingjob(trainingjob(status=complete_status(), metadata={"resourceVersion": "8"}))
    elif end == "dropped":
        store.drop_trainingjob(tj.key)
        store.put_trainingjob(tj)
    else:
        tj = trainingjob(metadata={"uid": "another-uid"})
        store.put_trainingjob(tj)
    assert store.callback_url(tj) is None
