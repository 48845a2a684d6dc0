"""The condition of each namespace that the operator works in, so that trouble in one of them stays there."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

logger = logging.getLogger(__name__)


class Condition(StrEnum):
    """What the operator can do in a namespace."""

    UNKNOWN = "Unknown"
    """Not checked yet."""
    USABLE = "Usable"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    TERMINATING = "Terminating"
    UNAVAILABLE = "Unavailable"
    """The API server failed or did not answer."""


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """The condition of a namespace, since when, and for a condition other than Usable the cause and the remedy."""

    condition: Condition
    since: datetime
    message: str = ""

    @property
    def is_accessible(self) -> bool:
        """Whether requests for objects of the namespace have a chance."""
        return self.condition not in (Condition.FORBIDDEN, Condition.NOT_FOUND)

    @property
    def accepts_trainings(self) -> bool:
        """Whether TrainingJobs may be created. While the API server is unavailable, each creation is retried instead."""
        return self.is_accessible and self.condition != Condition.TERMINATING


@dataclass(slots=True)
class _Namespace:
    state: NamespaceState
    accepts: asyncio.Event = field(default_factory=asyncio.Event)
    check_due: asyncio.Event = field(default_factory=asyncio.Event)


class Namespaces:
    """The conditions of all namespaces. `Resync` checks and records them."""

    def __init__(self, names: Sequence[str], clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._namespaces = {name: _Namespace(NamespaceState(Condition.UNKNOWN, clock())) for name in names}
        for namespace in self._namespaces.values():
            namespace.accepts.set()

    def state(self, name: str) -> NamespaceState:
        """The state of one namespace."""
        return self._namespaces[name].state

    async def wait_until_it_accepts_trainings(self, name: str) -> None:
        """Wait until TrainingJobs may be created in a namespace."""
        await self._namespaces[name].accepts.wait()

    def check_soon(self, name: str) -> None:
        """Have a namespace checked, because a request was refused."""
        self._namespaces[name].check_due.set()

    async def wait_for_check(self, name: str, seconds: float) -> None:
        """Wait until `check_soon`, but no longer than that."""
        due = self._namespaces[name].check_due
        try:
            async with asyncio.timeout(seconds):
                await due.wait()
        except TimeoutError:
            return
        due.clear()

    def record(self, name: str, condition: Condition, message: str) -> bool:
        """Record the result of a check. Returns whether the condition changed; then it is logged, unless it is the first and Usable."""
        namespace = self._namespaces[name]
        before = namespace.state
        if before.condition == condition:
            namespace.state = replace(before, message=message)
            return False
        namespace.state = after = NamespaceState(condition, self._clock(), message)
        if after.accepts_trainings:
            namespace.accepts.set()
        else:
            namespace.accepts.clear()
        if condition == Condition.USABLE and before.condition == Condition.UNKNOWN:
            return True
        if condition == Condition.USABLE:
            seconds = (after.since - before.since).total_seconds()
            logger.warning("namespace %s: Usable again, after %.0f s", name, seconds)
        else:
            logger.warning("namespace %s: %s: %s", name, condition, message)
        return True
