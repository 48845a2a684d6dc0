"""Derived names."""

from vott_operator import names


def test_a_trainingjobs_name_depends_on_queue_and_message_alone() -> None:
    assert names.trainingjob("q", "1") == names.trainingjob("q", "1")
    assert len({names.trainingjob(q, m) for q in ("q", "q1") for m in ("1", "11")}) == 4


def test_queue_and_message_id_do_not_run_together() -> None:
    assert names.trainingjob("q", "12") != names.trainingjob("q1", "2")


def test_a_trainingjobs_name_leaves_room_for_its_pods() -> None:
    assert len(names.trainingjob("q", "1")) <= names.MAX_NAME_LENGTH
