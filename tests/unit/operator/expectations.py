"""Rows of the table of decisions: a behaviour, what is observed, and the plan that follows."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.observed_state import NOW, settings
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import Plan, plan

Row = Any
"""What pytest.param returns."""

DECIDING = {
    "Pending": "Running",
    "Running": "Running",
    "Suspended": "Suspended",
    "Complete": "Complete",
    "Failed": "Failed",
}
"""The condition that says why a phase is what it is."""


@dataclass(frozen=True)
class Expected:
    """What is to follow. A step that is not named here must not be in the plan."""

    phase: str | None = None
    """With `reason`, of the status once the plan was applied. Nothing is to be written where none of a status is named."""
    reason: str = ""
    says: tuple[str, ...] = ()
    """Words of the deciding condition's message."""
    conditions: dict[str, str] = field(default_factory=dict)
    """Further conditions: type to `status/reason`."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields of the status once the plan was applied."""
    event: str = ""
    """Type of the one Event, with the plan's reason, or `type/reason`. Empty: no Event."""
    create: bool = False
    service: bool = False
    suspend: bool | None = None
    delete_job: bool = False
    finalizer: str | None = None
    """`added` or `removed`."""
    delete: bool = False
    callback: str | None = None
    """The outcome that the callback is to be told."""
    give_up: bool = False
    again: float | bool | None = None
    """Seconds until to look again: True for some, False for never; None where it does not matter."""

    def check(self, seen: Observed, result: Plan) -> None:
        """Compare. Raises AssertionError."""
        steps = {
            "create": result.create_job is not None,
            "service": result.create_service is not None,
            "suspend": result.suspend_job,
            "delete_job": result.delete_job,
            "finalizer": "added" if result.add_finalizer else "removed" if result.remove_finalizer else None,
            "delete": result.delete,
            "callback": result.callback.state if result.callback else None,
            "give_up": bool(result.callback and result.callback.give_up),
        }
        _same(steps, {name: getattr(self, name) for name in steps}, result)
        self._check_status(seen, result.status)
        told = [f"{note.type}/{note.reason}" for note in result.events]
        wanted = self.event if "/" in self.event else f"{self.event}/{self.reason}"
        _same(told, [wanted] if self.event else [], result)
        if isinstance(self.again, bool):
            _same(result.requeue_seconds is not None, self.again, result)
        elif self.again is not None:
            _same(result.requeue_seconds, self.again, result)

    def _check_status(self, seen: Observed, patch: dict[str, Any] | None) -> None:
        if self.phase is None and not self.conditions and not self.fields:
            assert patch is None, f"nothing was to be written, but {patch}"
            return
        assert patch is not None, "nothing is written"
        known = seen.trainingjob.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        status = known | patch
        conditions = {item["type"]: item for item in status["conditions"]}
        if self.phase is not None:
            _same((status["phase"], status.get("reason")), (self.phase, self.reason), patch)
            self._check_sentence(conditions.get(DECIDING[self.phase], {}))
        told = {type_: f"{conditions[type_]['status']}/{conditions[type_]['reason']}" for type_ in self.conditions}
        _same(told, self.conditions, patch)
        _same({name: status.get(name) for name in self.fields}, self.fields, patch)

    def _check_sentence(self, condition: dict[str, str]) -> None:
        if self.reason:
            _same(condition["reason"], self.reason, condition)
            assert "\n" not in condition["message"], condition
        assert [words for words in self.says if words not in condition["message"]] == [], condition["message"]


def _same(found: Any, wanted: Any, whole: Any) -> None:
    assert found == wanted, f"{found} instead of {wanted} in {whole}"


def row(behaviour: str, seen: Observed, **expected: Any) -> Row:
    """One row, for `@pytest.mark.parametrize(("seen", "expected"), …)`."""
    return pytest.param(seen, Expected(**expected), id=behaviour)


def decide(seen: Observed, **overrides: Any) -> Plan:
    """The plan, at the builders' moment."""
    return plan(seen, settings(**overrides), NOW)
