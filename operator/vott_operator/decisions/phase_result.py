"""PhaseResult: the phase, reason and conditions that the status should show. Pure."""

from dataclasses import dataclass

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate, Explanation


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """A phase, its reason, and the conditions to set. The first condition is the one that decides the phase."""

    phase: str
    reason: str
    conditions: tuple[ConditionUpdate, ...] = ()
    failures: int | None = None
    """The failures counted so far, if they are more than the Job knows."""
    replace_job: bool = False
    """A new Job takes the place of this one."""

    @property
    def is_terminal(self) -> bool:
        """Whether the training ended."""
        return self.phase in (c.COMPLETE, c.FAILED)


def failed(explanation: Explanation, failures: int | None = None) -> PhaseResult:
    """Failed: the training ended without a model."""
    reason, message = explanation
    ended = ConditionUpdate(c.RUNNING, "False", c.TRAINER_FINISHED, "The training ended.")
    return PhaseResult(c.FAILED, reason, (ConditionUpdate(c.FAILED, "True", reason, message), ended), failures)


def pending(explanation: Explanation, *more: ConditionUpdate) -> PhaseResult:
    """Pending: the training does not run now."""
    reason, message = explanation
    return PhaseResult(c.PENDING, reason, (ConditionUpdate(c.RUNNING, "False", reason, message), *more))
