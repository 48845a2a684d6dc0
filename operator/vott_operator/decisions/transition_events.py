"""Kubernetes Events about a TrainingJob: their type, and which status changes emit one. Pure."""

from dataclasses import dataclass
from typing import Literal

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult

NORMAL_REASONS = (c.RESUMED, c.WAITING_FOR_PODS, c.POD_STARTING, c.CANCELLED)
"""Reasons that are not a problem, although the phase is Pending or Failed."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about a TrainingJob."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def transition_events(
    observed: Observed, result: PhaseResult | None, more: tuple[ConditionUpdate, ...] = ()
) -> tuple[Event, ...]:
    """An Event for each unusual change.

    The usual ones (the first Running, and Complete) show in the status only, because each Event costs a write.
    """
    if result is None:
        return ()
    events = [_stalled_event(observed, update) for update in more]
    status = observed.trainingjob.status
    usual = result.phase == c.COMPLETE or (result.phase == c.RUNNING and not status.reason)
    if result.conditions and status.reason != result.reason and not usual:
        first = result.conditions[0]
        is_warning = result.phase in (c.PENDING, c.FAILED) and first.reason not in NORMAL_REASONS
        events.append(Event("Warning" if is_warning else "Normal", first.reason, first.message))
    return tuple(event for event in events if event is not None)


def _stalled_event(observed: Observed, update: ConditionUpdate) -> Event | None:
    current = observed.trainingjob.condition(update.type)
    if current is not None and current.status == update.status:
        return None
    if update.reason not in (c.NO_PROGRESS, c.PROGRESS_RESUMED):
        return None
    return Event("Warning" if update.status == "True" else "Normal", update.reason, update.message)
