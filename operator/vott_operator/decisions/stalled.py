"""The condition Stalled: a running training that has not reported for trainer.stalledAfterSeconds. Pure."""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.times import parse_timestamp
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult


def stalled_time(observed: Observed, result: PhaseResult, seconds: int, now: datetime) -> datetime | None:
    """When the training becomes stalled unless it reports; None if it does not run, or the check is off (0 seconds)."""
    if result.reason != c.TRAINER_RUNNING or not seconds:
        return None
    trainingjob = observed.trainingjob
    running = trainingjob.condition(c.RUNNING)
    start = now
    if running is not None and running.status == "True":
        start = parse_timestamp(running.last_transition_time, now)
    reported = trainingjob.status.progress.last_updated_time if trainingjob.status.progress else None
    # The condition is that of an earlier pod if no operator saw the change. No time is later than now, whatever a node's clock claims.
    started = (pod.started_at for pod in observed.job_pods if pod.active and pod.running)
    latest = max(start, *(min(parse_timestamp(time, start), now) for time in (reported, *started)))
    return latest + timedelta(seconds=seconds)


def is_hung(observed: Observed, result: PhaseResult, seconds: int, now: datetime) -> bool:
    """Whether a training that has reported an epoch has been silent for this many seconds; False if they are 0.

    A script, and many a custom trainer, never reports one: its silence tells nothing.
    """
    time, status = stalled_time(observed, result, seconds, now), observed.trainingjob.status
    has_trained = status.checkpoint is not None or (status.progress is not None and bool(status.progress.epoch_current))
    return has_trained and time is not None and now >= time


def stalled_condition(
    observed: Observed, result: PhaseResult, seconds: int, now: datetime
) -> tuple[ConditionUpdate, ...]:
    """The update of the condition Stalled; empty if the training is not stalled and was not."""
    trainingjob = observed.trainingjob
    time = stalled_time(observed, result, seconds, now)
    if time is not None and now >= time:
        progress = trainingjob.status.progress
        last = (progress.last_updated_time if progress else None) or "never"
        message = (
            f"The trainer has not reported for {seconds} s (last: {last}). It may hang: see `kubectl logs -n "
            f"{trainingjob.metadata.namespace} {trainingjob.status.pod_name}`, and delete the pod to restart it."
        )
        return (ConditionUpdate(c.STALLED, "True", c.NO_PROGRESS, message),)
    current = trainingjob.condition(c.STALLED)
    if current is None or current.status != "True":
        return ()
    if result.reason == c.TRAINER_RUNNING:
        return (ConditionUpdate(c.STALLED, "False", c.PROGRESS_RESUMED, "The trainer reports again."),)
    return (ConditionUpdate(c.STALLED, "False", result.reason or c.RETRYING, "The training no longer runs."),)
