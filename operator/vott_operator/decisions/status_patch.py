"""From a verdict to the fields of the status that are to be written. Pure."""

from datetime import datetime
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.conditions import Finding, merge, one_line
from vott_operator.api.times import timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions import restarts, ttl
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase import Verdict


def status_patch(
    observed: Observed, verdict: Verdict | None, now: datetime, more: tuple[Finding, ...] = ()
) -> dict[str, Any] | None:
    """The fields to set so that the status says `verdict` and `more`, or None when it says so already."""
    if verdict is None or observed.trainingjob.finished:
        return None
    current = observed.trainingjob.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    findings = verdict.findings + more
    patch = _changes(current, _wanted(observed, findings, verdict, now))
    if patch and (unrecorded := ttl.unrecorded(observed)):  # said when something is written anyway
        patch = _changes(current, _wanted(observed, findings + unrecorded, verdict, now))
    if not patch.keys() - {"observedGeneration"} and current.get("observedGeneration") is None:
        return None
    return patch or None


def _changes(current: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None and current.get(name) != value}


def _wanted(observed: Observed, findings: tuple[Finding, ...], verdict: Verdict, now: datetime) -> dict[str, Any]:
    trainingjob, job = observed.trainingjob, observed.job
    generation = trainingjob.metadata.generation
    if verdict.terminal:
        findings += _closed(trainingjob)
    conditions = merge(trainingjob.status.conditions, findings, generation, timestamp(now))
    wanted: dict[str, Any] = {
        "phase": verdict.phase,
        "reason": verdict.reason,
        "observedGeneration": generation,
        "conditions": [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in conditions],
        "failures": verdict.failures,
    }
    if job is not None:
        wanted |= {"jobName": job.name, "startTime": _start_time(trainingjob, job.start_time)}
    if verdict.phase == c.SUSPENDED:  # no pod takes the place of another when it is resumed
        wanted["podName"] = "" if trainingjob.status.pod_name else None
    elif job is not None:
        wanted |= _pod_fields(observed, verdict)
    if verdict.terminal:
        wanted["completionTime"] = (job.finished_at if job else None) or timestamp(now)
    return wanted


def _closed(trainingjob: TrainingJob) -> tuple[Finding, ...]:
    """What can't be true of an ended training."""
    true = (item.type for item in trainingjob.status.conditions if item.status == "True")
    ended = "The training ended."
    return tuple(
        Finding(type_, "False", c.TRAINER_FINISHED, ended) for type_ in true if type_ in (c.STALLED, c.SUSPENDED)
    )


def _start_time(trainingjob: TrainingJob, of_job: str | None) -> str | None:
    """When the training started: with its first Job, and anew when it is resumed, as for a Job itself."""
    was_suspended = trainingjob.condition(c.SUSPENDED)
    anew = was_suspended is not None and was_suspended.status == "True"
    return of_job if anew or not trainingjob.status.start_time else trainingjob.status.start_time


def _pod_fields(observed: Observed, verdict: Verdict) -> dict[str, Any]:
    pod = restarts.training_pod(observed)
    failures = verdict.failures or observed.trainingjob.status.failures or 0
    return {
        "podName": pod.name if pod else None,
        "restarts": restarts.count(observed, failures, failed=verdict.phase == c.FAILED),
    }


def condition_patch(trainingjob: TrainingJob, finding: Finding, now: datetime) -> dict[str, Any] | None:
    """The fields to set for one condition, or None when it is set so already."""
    conditions = merge(trainingjob.status.conditions, [finding], trainingjob.metadata.generation, timestamp(now))
    if conditions == trainingjob.status.conditions:
        return None
    return {"conditions": [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in conditions]}


def sentence(trainingjob: TrainingJob) -> str:
    """The message of the condition that ended the training."""
    ended = next(
        (
            item
            for item in trainingjob.status.conditions
            if item.type in (c.COMPLETE, c.FAILED) and item.status == "True"
        ),
        None,
    )
    return one_line(ended.message) if ended else ""
