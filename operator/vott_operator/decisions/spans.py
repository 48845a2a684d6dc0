"""The spans of a TrainingJob's trace that a change of its status ends. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vott_operator.api import constants as c
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A span that has ended."""

    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    """Why it failed; empty if it did not."""


def ended_span(before: TrainingJob, after: TrainingJob, now: datetime) -> SpanRecord | None:
    """`wait` until a pod trains, and `train` for each time that one did; None if the change ends neither."""
    was_running, is_running = _is_running(before), _is_running(after)
    if before.finished or (was_running == is_running and not after.finished):
        return None
    reason = (before if is_running else after).status.reason or ""
    attributes = {
        "vott.trainingjob": str(after.key),
        "vott.plugin": after.spec.plugin,
        "vott.reason": reason,
        "k8s.pod.name": after.status.pod_name or "",
    }
    trained = was_running or after.status.phase == c.COMPLETE
    is_error = not is_running and after.status.phase not in (c.COMPLETE, c.SUSPENDED)
    return SpanRecord(
        "train" if trained else "wait",
        parse_timestamp(_since(before), now),
        now,
        {name: value for name, value in attributes.items() if value},
        reason if is_error else "",
    )


def _is_running(trainingjob: TrainingJob) -> bool:
    running = trainingjob.condition(c.RUNNING)
    return running is not None and running.status == "True"


def _since(trainingjob: TrainingJob) -> str:
    """Since when it runs or, if it does not, since when it has not."""
    running = trainingjob.condition(c.RUNNING)
    return running.last_transition_time if running else trainingjob.metadata.creation_timestamp
