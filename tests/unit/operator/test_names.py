"""Derived names."""

import re

from vott_operator.api import crd, names


def test_a_trainingjobs_name_depends_only_on_queue_and_message_id() -> None:
    assert names.trainingjob("q", "1") == names.trainingjob("q", "1")
    assert len({names.trainingjob(q, m) for q in ("q", "q1") for m in ("1", "11")}) == 4


def test_messages_of_one_id_can_have_names_of_their_own() -> None:
    assert names.trainingjob("q", "1", "") == names.trainingjob("q", "1")
    assert len({names.trainingjob("q", "1", sequence) for sequence in ("", "1", "2", "11")}) == 4


def test_queue_and_message_id_are_separated() -> None:
    assert names.trainingjob("q", "12") != names.trainingjob("q1", "2")


def test_a_trainingjobs_name_is_valid_for_all_its_objects() -> None:
    for queue, message_id in (("https://acme.queue.core.windows.net/cats", "a.b"), ("q", "."), ("", "\u00e4/..\n")):
        assert re.fullmatch(crd.SERVICE_NAME_PATTERN, names.trainingjob(queue, message_id))


def test_a_trainingjobs_name_leaves_space_for_the_suffixes_of_its_pods() -> None:
    assert len(names.trainingjob("q", "1")) <= names.MAX_NAME_LENGTH
