"""Merging of conditions."""

from vott_operator.api.conditions import MAX_MESSAGE_LENGTH, ConditionUpdate, merge
from vott_operator.api.status import Condition

OLD = merge((), [ConditionUpdate("Running", "True", "A", "m")], 1, "T1")


def test_the_transition_time_changes_only_with_the_status() -> None:
    same = merge(OLD, [ConditionUpdate("Running", "True", "B", "n")], 1, "T2")
    assert (same[0].reason, same[0].last_transition_time) == ("B", "T1")
    changed = merge(OLD, [ConditionUpdate("Running", "False", "B", "n")], 1, "T2")
    assert changed[0].last_transition_time == "T2"


def test_an_equal_update_changes_nothing() -> None:
    assert merge(OLD, [ConditionUpdate("Running", "True", "A", "m")], 2, "T2") == OLD


def test_other_conditions_stay() -> None:
    both = merge(OLD, [ConditionUpdate("Complete", "True", "A", "m")], 1, "T2")
    assert [item.type for item in both] == ["Running", "Complete"]


def test_a_message_is_one_line_of_bounded_length() -> None:
    merged: tuple[Condition, ...] = merge((), [ConditionUpdate("Failed", "True", "A", "a\nb " + "c" * 5000)], 1, "T")
    assert "\n" not in merged[0].message
    assert len(merged[0].message) == MAX_MESSAGE_LENGTH
