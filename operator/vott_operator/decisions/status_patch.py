"""The patch of a TrainingJob's status: only the fields that change. Pure."""

from datetime import datetime
from typing import Any

from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate, merge, one_line
from vott_operator.api.status import Condition
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions import restarts, ttl
from vott_operator.decisions.attempts import attempts
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult
from vott_operator.decisions.report_interval import report_interval


def status_patch(
    observed: Observed, result: PhaseResult | None, now: datetime, more: tuple[ConditionUpdate, ...] = ()
) -> dict[str, Any] | None:
    """The fields to set for `result` and the conditions `more`; None if the status shows them already."""
    if observed.trainingjob.finished:
        return None
    current = observed.trainingjob.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    if result is None:
        # A failure has a result as soon as the Job has counted it.
        is_failure = any(entry.outcome == c.ATTEMPT_FAILED for entry in attempts(observed)[-1:])
        return None if is_failure else _changes(current, _attempts(observed)) or None
    updates = result.conditions + more
    patch = _changes(current, _desired(observed, updates, result, now))
    if patch and (settled := ttl.unrecorded_settlement(observed)):  # not worth a write of its own
        patch = _changes(current, _desired(observed, updates + settled, result, now))
    if not patch.keys() - {"observedGeneration"} and current.get("observedGeneration") is None:
        return None
    return patch or None


def condition_patch(trainingjob: TrainingJob, update: ConditionUpdate, now: datetime) -> dict[str, Any] | None:
    """The fields to set for one condition; None if the status shows it already."""
    conditions = merge(trainingjob.status.conditions, [update], trainingjob.metadata.generation, timestamp(now))
    return None if conditions == trainingjob.status.conditions else {"conditions": _to_json(conditions)}


def outcome_message(trainingjob: TrainingJob) -> str:
    """The message of the condition that ended the training."""
    for condition in trainingjob.status.conditions:
        if condition.type in (c.COMPLETE, c.FAILED) and condition.status == "True":
            return one_line(condition.message)
    return ""


def _changes(current: dict[str, Any], desired: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in desired.items() if value is not None and current.get(name) != value}


def _desired(
    observed: Observed, updates: tuple[ConditionUpdate, ...], result: PhaseResult, now: datetime
) -> dict[str, Any]:
    trainingjob, job = observed.trainingjob, observed.job
    generation = trainingjob.metadata.generation
    if result.is_terminal:
        updates += _closed(trainingjob)
    conditions = merge(trainingjob.status.conditions, updates, generation, timestamp(now))
    desired: dict[str, Any] = {
        "phase": result.phase,
        "reason": result.reason,
        "observedGeneration": generation,
        "conditions": _to_json(conditions),
        "failures": result.failures,
        **_attempts(observed),
    }
    if result.phase == c.RUNNING:
        desired["reportIntervalSeconds"] = report_interval(observed)
    if job is not None:
        desired |= {"jobName": job.name, "startTime": _start_time(trainingjob, job.start_time)}
    if result.phase == c.SUSPENDED:  # so that the pod after the resume is not counted as a restart
        desired["podName"] = "" if trainingjob.status.pod_name else None
    elif job is not None and not result.replace_job:  # the restart is that of the next Job's pod
        desired |= _pod_fields(observed, result)
    if result.is_terminal:
        desired["completionTime"] = (job.finished_at if job else None) or timestamp(now)
    return desired


def _closed(trainingjob: TrainingJob) -> tuple[ConditionUpdate, ...]:
    """Set to False what can't be true of an ended training."""
    return tuple(
        ConditionUpdate(condition.type, "False", c.TRAINER_FINISHED, "The training ended.")
        for condition in trainingjob.status.conditions
        if condition.status == "True" and condition.type in (c.STALLED, c.SUSPENDED)
    )


def _start_time(trainingjob: TrainingJob, job_start: str | None) -> str | None:
    """Start of the first Job; after a resume the Job's new start, as in the Job's own status."""
    suspended = trainingjob.condition(c.SUSPENDED)
    was_suspended = suspended is not None and suspended.status == "True"
    return job_start if was_suspended or not trainingjob.status.start_time else trainingjob.status.start_time


def _pod_fields(observed: Observed, result: PhaseResult) -> dict[str, Any]:
    pod = restarts.training_pod(observed)
    failures = result.failures or observed.trainingjob.status.failures or 0
    return {
        "podName": pod.name if pod else None,
        "restarts": restarts.count(observed, failures, failed=result.phase == c.FAILED),
    }


def _attempts(observed: Observed) -> dict[str, Any]:
    entries = attempts(observed)
    return {"attempts": [entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in entries] or None}


def _to_json(conditions: tuple[Condition, ...]) -> list[dict[str, Any]]:
    return [condition.model_dump(mode="json", by_alias=True, exclude_none=True) for condition in conditions]
