"""The operator's own conditions: whether it reaches its queues, watches its namespaces and can sign callbacks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vott_guard.redaction import redact

QUEUE_REACHABLE: Final = "QueueReachable"
"""For each queue. Only the leader receives, so that a standby reaches every queue as far as it knows."""
NAMESPACE_WATCHED: Final = "NamespaceWatched"
"""For each namespace: its objects were listed, and are watched."""
SIGNING_KEYS_USABLE: Final = "SigningKeysUsable"
REASONS: Final = {
    QUEUE_REACHABLE: "QueueUnreachable",
    NAMESPACE_WATCHED: "NamespaceNotWatched",
    SIGNING_KEYS_USABLE: "SigningKeysUnusable",
}
"""The reason while the condition does not hold."""
RECOVERIES: Final = {
    QUEUE_REACHABLE: "{} is reachable again.",
    NAMESPACE_WATCHED: "The namespace {} is watched again.",
    SIGNING_KEYS_USABLE: "Callbacks are sent again.",
}


@dataclass(frozen=True, slots=True)
class HealthCondition:
    """One of the operator's conditions; `message` is a sentence while it does not hold."""

    type: str
    subject: str
    """What it is about, such as a queue; empty if there is only one."""
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.message


class Health:
    """The conditions as last reported by the parts of the operator."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str], Callable[[], str]] = {}

    def report(self, type_: str, subject: str, problem: str) -> None:
        """Set a condition. `problem` is a sentence with the cause; empty if there is none."""
        self.follow(type_, subject, lambda: problem)

    def follow(self, type_: str, subject: str, problem: Callable[[], str]) -> None:
        """Set a condition to what `problem` returns whenever the conditions are asked for."""
        self._problems[type_, subject] = problem

    def conditions(self) -> list[HealthCondition]:
        """All conditions."""
        return [HealthCondition(*key, redact(problem())) for key, problem in self._problems.items()]

    @property
    def problems(self) -> list[HealthCondition]:
        """Those that do not hold."""
        return [condition for condition in self.conditions() if not condition.ok]

    @property
    def ready(self) -> bool:
        """Whether the operator can do its work: not if a condition holds for none of its subjects.

        One of several queues or namespaces is no reason: it must not stop the roll-out of an upgrade for the others.
        """
        conditions = self.conditions()
        return {condition.type for condition in conditions} == {item.type for item in conditions if item.ok}
