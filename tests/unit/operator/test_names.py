"""Derived names."""

import re

from vott_operator.api import crd, names


def test_a_trainingjobs_name_depends_on_queue_and_message_alone() -> None:
    assert names.trainingjob("q", "1") == names.trainingjob("q", "1")
    assert len({names.trainingjob(q, m) for q in ("q", "q1") for m in ("1", "11")}) == 4


def test_queue_and_message_id_do_not_run_together() -> None:
    assert names.trainingjob("q", "12") != names.trainingjob("q1", "2")


def test_what_is_made_from_a_message_has_a_name_that_every_object_of_it_can_have() -> None:
    for queue, message_id in (("https://acme.queue.core.windows.net/cats", "a.b"), ("q", "."), ("", "\u00e4/..\n")):
        assert re.fullmatch(crd.SERVICE_NAME_PATTERN, names.trainingjob(queue, message_id))


def test_a_trainingjobs_name_leaves_room_for_its_pods() -> None:
    assert len(names.trainingjob("q", "1")) <= names.MAX_NAME_LENGTH
