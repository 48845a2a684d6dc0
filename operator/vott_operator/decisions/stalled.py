"""Whether a training that runs still gets on: the condition Stalled. Pure."""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import Finding
from vott_operator.api.times import moment
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase import Verdict


def due(observed: Observed, verdict: Verdict, seconds: int, now: datetime) -> datetime | None:
    """When a running training counts as stalled unless it reports before; None while none runs, or where nobody asks (0)."""
    if verdict.phase != c.RUNNING or not seconds:
        return None
    trainingjob = observed.trainingjob
    said = trainingjob.condition(c.RUNNING)
    began = moment(said.last_transition_time, now) if said is not None and said.status == "True" else now
    reported = trainingjob.status.progress.last_updated_time if trainingjob.status.progress else None
    # A report is not of the future, whatever the clock of its node (or a trainer of somebody's own) says.
    return max(began, min(moment(reported, began), now)) + timedelta(seconds=seconds)


def findings(observed: Observed, verdict: Verdict, seconds: int, now: datetime) -> tuple[Finding, ...]:
    """The condition Stalled, where it is or was true."""
    when = due(observed, verdict, seconds, now)
    if when is not None and now >= when:
        progress = observed.trainingjob.status.progress
        last = (progress.last_updated_time if progress else None) or "never"
        pod = observed.trainingjob.status.pod_name
        message = (
            f"The trainer has not reported for {seconds} s (last: {last}). It may hang; see `kubectl logs -n "
            f"{observed.trainingjob.metadata.namespace} {pod}`, and delete the pod to start it again."
        )
        return (Finding(c.STALLED, "True", c.NO_PROGRESS, message),)
    was = observed.trainingjob.condition(c.STALLED)
    if was is None or was.status != "True":
        return ()
    if verdict.phase == c.RUNNING:
        return (Finding(c.STALLED, "False", c.PROGRESS_RESUMED, "The trainer reports again."),)
    return (Finding(c.STALLED, "False", verdict.reason or c.RETRYING, "The training no longer runs."),)
