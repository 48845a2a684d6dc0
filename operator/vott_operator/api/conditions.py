"""Merging of conditions, by the rules of Kubernetes' metav1.Condition."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from vott_operator.api.trainingjob import Condition

Status = Literal["True", "False", "Unknown"]
MAX_MESSAGE_LENGTH = 1024


class Finding(NamedTuple):
    """What is to be said of one condition type now."""

    type: str
    status: Status
    reason: str
    message: str


def merge(
    existing: tuple[Condition, ...], findings: Iterable[Finding], generation: int, now: str
) -> tuple[Condition, ...]:
    """The conditions after `findings` (at `now`, RFC 3339): lastTransitionTime moves only where the status changes."""
    merged = {item.type: item for item in existing}
    for finding in findings:
        merged[finding.type] = _updated(merged.get(finding.type), finding, generation, now)
    return tuple(merged.values())


def _updated(old: Condition | None, finding: Finding, generation: int, now: str) -> Condition:
    message = one_line(finding.message)
    if old and (old.status, old.reason, old.message) == (finding.status, finding.reason, message):
        return old
    since = old.last_transition_time if old and old.status == finding.status else now
    return Condition(
        type=finding.type,
        status=finding.status,
        reason=finding.reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )


def one_line(text: str) -> str:
    """The text as one line of bounded length, as tables and Events want it."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[: MAX_MESSAGE_LENGTH - 1]}…"
