"""docs/trainingjob.md lists every reason that the operator and the trainer give."""

import re
from pathlib import Path

import pytest

from vott_messaging import reasons
from vott_operator.api import constants as c
from vott_trainer import errors

ROOT = Path(__file__).parents[3]
CONSTANTS = Path(c.__file__).read_text() + Path(reasons.__file__).read_text()
REASONS = (ROOT / "docs/trainingjob.md").read_text().partition("\n## Conditions and their reasons\n")[2]
SECTIONS = {
    "Running": "Running",
    "Stalled": "Stalled",
    "Suspended": "Suspended",
    "Complete and ModelUploaded": "Complete and ModelUploaded",
    "Failed": "Failed that the operator sets",
    "CallbackDelivered": "CallbackDelivered",
    "MessageSettled": "MessageSettled",
    "Events": "Events without a condition",
    "Rejected messages": "a rejected message",
}
"""Sections of the page, and the text after "# Reasons of" in constants.py or reasons.py."""
SHARED = {
    "Running": {c.NODE_LOST, c.JOB_SUSPENDED, c.WAITING_FOR_QUOTA, c.RESUMED},
    "Stalled": {c.TRAINER_FINISHED},
    "Failed": {c.INTERRUPTED, c.NO_PROGRESS, c.RESTORED},
    "Suspended": {c.TRAINER_FINISHED},
}
"""Reasons that constants.py lists under another condition."""
TRAINER_REASONS = {
    error.reason for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "reason")
}
UPDATE = re.compile(r'ConditionUpdate\(\s*c\.([A-Z_]+),\s*"\w+",\s*c\.([A-Z_]+),')
UPDATES = sorted(
    {update for path in Path(c.__file__).parents[1].rglob("*.py") for update in UPDATE.findall(path.read_text())}
)
"""Condition and reason of each update in the operator's code, as names of constants."""


def section(title: str) -> str:
    """The text of one section, without its subsections."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", REASONS, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def documented_reasons(title: str) -> set[str]:
    """The reasons in the first column of a section's table."""
    rows = [row.split("|")[1] for row in section(title).splitlines() if row.startswith("| `")]
    return set(re.findall(r"`(\w+)`", " ".join(rows)))


def defined_reasons(group: str) -> set[str]:
    """The values of the constants below the comment of a group."""
    found = re.search(
        rf"^# Reasons of {re.escape(group)}\b[^\n]*\n((?:[A-Z_]+: Final = .*\n)+)", CONSTANTS, re.MULTILINE
    )
    assert found, group
    return set(re.findall(r'"(\w+)"', found[1]))


@pytest.mark.parametrize(("title", "group"), SECTIONS.items())
def test_the_table_of_each_condition_has_its_reasons_and_no_others(title: str, group: str) -> None:
    moved = {c.NODE_LOST} if title == "Failed" else set()
    assert documented_reasons(title) == (defined_reasons(group) - moved) | SHARED.get(title, set())


def test_every_group_of_reasons_has_its_table() -> None:
    assert len(re.findall(r"^# Reasons of ", CONSTANTS, re.MULTILINE)) == len(SECTIONS)


@pytest.mark.parametrize(("condition", "reason"), UPDATES)
def test_a_reason_is_in_the_table_of_its_condition(condition: str, reason: str) -> None:
    (title,) = (title for title in SECTIONS if getattr(c, condition) in title.split(" and "))
    assert getattr(c, reason) in documented_reasons(title)


def test_condition_updates_in_the_code_are_found() -> None:
    assert {("SUSPENDED", "RESUMED"), ("RUNNING", "TRAINER_RUNNING")} < set(UPDATES)


def test_the_list_of_the_trainers_reasons_is_complete() -> None:
    listed = set(re.findall(r"`([A-Z]\w+)`", section("Failed").partition("Given by the trainer")[2]))
    in_the_table_above, not_a_failure = {c.ADDRESS_REFUSED}, {c.INTERRUPTED}
    assert listed == TRAINER_REASONS - in_the_table_above - not_a_failure
