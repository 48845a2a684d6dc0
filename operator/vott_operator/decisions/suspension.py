"""Suspension by spec.suspend or by Kueue: the phase Suspended, resuming, and the Job's suspend field. Pure."""

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.condition_messages import explain_suspended
from vott_operator.decisions.observed import JobState, Observed
from vott_operator.decisions.phase_result import PhaseResult
from vott_operator.objects import kueue


def suspended(trainingjob: TrainingJob) -> PhaseResult:
    """The phase of a training whose Job is suspended, or not created."""
    queue = None if trainingjob.spec.suspend else kueue.local_queue(trainingjob)
    reason, message = explain_suspended(queue, trainingjob.metadata.namespace)
    conditions = (
        ConditionUpdate(c.SUSPENDED, "True", reason, message),
        ConditionUpdate(c.RUNNING, "False", reason, message),
    )
    return PhaseResult(c.SUSPENDED, reason, conditions)


def resumed_condition(trainingjob: TrainingJob) -> tuple[ConditionUpdate, ...]:
    """The update that ends the condition Suspended; empty if it is not True."""
    current = trainingjob.condition(c.SUSPENDED)
    if current is None or current.status != "True":
        return ()
    return (ConditionUpdate(c.SUSPENDED, "False", c.RESUMED, "The Job is no longer suspended."),)


def suspend_change(observed: Observed, job: JobState) -> bool | None:
    """The new value of the Job's suspend field; None to leave it. Kueue alone suspends and resumes its Jobs."""
    desired = observed.trainingjob.spec.suspend
    keep = kueue.is_managed(observed.trainingjob) or job.finished or observed.trainingjob.deleting
    return None if keep or job.suspended == desired else desired
