"""Merging of conditions, by the rules of Kubernetes' metav1.Condition."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from vott_operator.api.status import Condition

Status = Literal["True", "False", "Unknown"]
MAX_MESSAGE_LENGTH = 1024


class Explanation(NamedTuple):
    """Reason (one CamelCase word, for programs) and message (one sentence: cause and remedy) of a condition."""

    reason: str
    message: str


class ConditionUpdate(NamedTuple):
    """The new state of one condition."""

    type: str
    status: Status
    reason: str
    message: str


def merge(
    existing: tuple[Condition, ...], updates: Iterable[ConditionUpdate], generation: int, now: str
) -> tuple[Condition, ...]:
    """The conditions after `updates` at `now` (RFC 3339). lastTransitionTime changes only with the status."""
    merged = {condition.type: condition for condition in existing}
    for update in updates:
        merged[update.type] = _updated(merged.get(update.type), update, generation, now)
    return tuple(merged.values())


def one_line(text: str) -> str:
    """The text as one line of at most MAX_MESSAGE_LENGTH characters, for tables and Events."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[: MAX_MESSAGE_LENGTH - 1]}…"


def _updated(current: Condition | None, update: ConditionUpdate, generation: int, now: str) -> Condition:
    message = one_line(update.message)
    if current and (current.status, current.reason, current.message) == (update.status, update.reason, message):
        return current
    since = current.last_transition_time if current and current.status == update.status else now
    return Condition(
        type=update.type,
        status=update.status,
        reason=update.reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )
