"""Derived names."""

from vott_messaging import names


def test_a_trainings_name_depends_only_on_queue_and_message_id() -> None:
    assert names.training("q", "1") == names.training("q", "1")
    assert len({names.training(q, m) for q in ("q", "q1") for m in ("1", "11")}) == 4


def test_messages_of_one_id_can_have_names_of_their_own() -> None:
    assert names.training("q", "1", "") == names.training("q", "1")
    assert len({names.training("q", "1", sequence) for sequence in ("", "1", "2", "11")}) == 4


def test_queue_and_message_id_are_separated() -> None:
    assert names.training("q", "12") != names.training("q1", "2")
