"""Rows of the plan tables: a behaviour, the observed state, and the plan that follows."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support import observed_state as b
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.plan import Plan, plan

Row = Any
"""The result of pytest.param."""

DECIDING = {
    "Pending": "Running",
    "Running": "Running",
    "Suspended": "Suspended",
    "Complete": "Complete",
    "Failed": "Failed",
}
"""Phase -> the condition that explains it."""


@dataclass(frozen=True)
class Expected:
    """The expected plan. A step that is not named here must not be in the plan."""

    phase: str | None = None
    """Phase after the plan, with `reason`. If no field of the status is expected, the plan must not write it."""
    reason: str = ""
    message: tuple[str, ...] = ()
    """Parts of the deciding condition's message."""
    conditions: dict[str, str] = field(default_factory=dict)
    """Further conditions: type -> `status/reason`."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields of the status after the plan."""
    event: str = ""
    """Type of the only Event, with the plan's reason, or `type/reason`. Empty: no Event."""
    create_job: bool = False
    create_service: bool = False
    suspend_job: bool | None = None
    delete_job: bool = False
    finalizer: str | None = None
    """`added` or `removed`."""
    ended: bool = False
    """Whether the annotation with the end is set."""
    delete: bool = False
    callback: str | None = None
    """The outcome to post."""
    give_up: bool = False
    requeue: float | bool | None = None
    """Seconds until the next pass: True for some, False for none, None for either."""

    def check(self, observed: Observed, result: Plan) -> None:
        """Compare a plan with the expected one. Raises AssertionError."""
        steps = {
            "create_job": result.create_job is not None,
            "create_service": result.create_service is not None,
            "suspend_job": result.suspend_job,
            "delete_job": result.delete_job,
            "finalizer": "added" if result.add_finalizer else "removed" if result.remove_finalizer else None,
            "ended": result.record_end is not None,
            "delete": result.delete,
            "callback": result.callback.state if result.callback else None,
            "give_up": bool(result.callback and result.callback.give_up),
        }
        _compare(steps, {name: getattr(self, name) for name in steps}, result)
        self._check_status(observed, result.status)
        events = [f"{event.type}/{event.reason}" for event in result.events]
        expected_event = self.event if "/" in self.event else f"{self.event}/{self.reason}"
        _compare(events, [expected_event] if self.event else [], result)
        if isinstance(self.requeue, bool):
            _compare(result.requeue_seconds is not None, self.requeue, result)
        elif self.requeue is not None:
            _compare(result.requeue_seconds, self.requeue, result)

    def _check_status(self, observed: Observed, patch: dict[str, Any] | None) -> None:
        if self.phase is None and not self.conditions and not self.fields:
            assert patch is None, f"no write was expected, but {patch}"
            return
        assert patch is not None, "nothing is written"
        status = observed.trainingjob.status.model_dump(mode="json", by_alias=True, exclude_none=True) | patch
        conditions = {item["type"]: item for item in status["conditions"]}
        if self.phase is not None:
            _compare((status["phase"], status.get("reason")), (self.phase, self.reason), patch)
            self._check_message(conditions.get(DECIDING[self.phase], {}))
        found = {type_: f"{conditions[type_]['status']}/{conditions[type_]['reason']}" for type_ in self.conditions}
        _compare(found, self.conditions, patch)
        _compare({name: status.get(name) for name in self.fields}, self.fields, patch)

    def _check_message(self, condition: dict[str, str]) -> None:
        if self.reason:
            _compare(condition["reason"], self.reason, condition)
            assert "\n" not in condition["message"], condition
        assert [part for part in self.message if part not in condition["message"]] == [], condition["message"]


def _compare(found: Any, expected: Any, whole: Any) -> None:
    assert found == expected, f"{found} instead of {expected} in {whole}"


def row(behaviour: str, observed: Observed, **expected: Any) -> Row:
    """One row, for `@pytest.mark.parametrize(("observed", "expected"), …)`."""
    return pytest.param(observed, Expected(**expected), id=behaviour)


def decide(observed: Observed, **overrides: Any) -> Plan:
    """The plan at the builders' time NOW, with these settings."""
    return plan(observed, b.settings(**overrides), b.NOW)
