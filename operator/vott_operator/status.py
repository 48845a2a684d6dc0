"""What is true of a TrainingJob now: from what was observed to a phase, conditions and the fields beside them. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import constants as c
from . import expiry
from .conditions import Finding, merge, one_line
from .failures import (
    DEADLINE_REASON,
    Explanation,
    explain_failure,
    explain_missing_secret,
    explain_no_pod,
    explain_pod,
    explain_waiting,
    last_failed,
)
from .models import TrainingJob
from .observed import JobState, Observed, PodState

STARTING = timedelta(seconds=15)
"""How long a pod may start, and a Job be without one, before somebody asks why."""
MODEL_REPORT_GRACE = timedelta(seconds=60)
"""How long after the pod's success its last status report may still be on the way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The phase, why it is so, and the conditions that say it."""

    phase: str
    reason: str
    findings: tuple[Finding, ...] = field(default=())

    @property
    def terminal(self) -> bool:
        """Whether the training ended."""
        return self.phase in (c.COMPLETE, c.FAILED)


def judge(observed: Observed, now: datetime) -> Verdict | None:
    """What to say now, or None when there is no news worth a write (a pod that is merely starting)."""
    job = observed.job
    if job is None:
        return None
    if job.complete:
        return _succeeded(observed.trainingjob, job, now)
    if job.failed_reason:
        return failed(explain_failure(job, observed.pods, observed.trainingjob.metadata.namespace))
    if job.suspended:
        return _suspended(observed.trainingjob)
    return _active(observed, job, now)


def lacks_evidence(observed: Observed, now: datetime) -> bool:
    """Whether a verdict would be drawn from what was not seen.

    Watches of different kinds run ahead of each other, most of all after a start. What says that something is missing, or
    ends a training for good, should rest on a look at the cluster.
    """
    job = observed.job
    if job is None or observed.trainingjob.finished or job.suspended:
        return False
    if job.complete:
        return observed.trainingjob.status.model is None
    if job.failed_reason:
        return job.failed_reason != DEADLINE_REASON and last_failed(observed.pods) is None
    overdue = now - _time(job.start_time, now) >= STARTING
    return not observed.pods and (overdue or _ran(observed.trainingjob))


def may_lack_secret(observed: Observed, now: datetime) -> bool:
    """Whether a pod has been starting for so long that its Secret may be missing."""
    pod = _live_pod(observed)
    if pod is None or pod.running or observed.trainingjob.spec.url_secret_ref is None:
        return False
    return explain_waiting(pod) is None and now - _time(pod.created, now) >= STARTING


def is_starting(observed: Observed) -> bool:
    """Whether a Job is there that has yet to bring a container to run, or to say why not."""
    job, pod = observed.job, _live_pod(observed)
    if job is None or job.complete or job.failed_reason or job.suspended:
        return False
    return pod is None or not pod.running


def _live_pod(observed: Observed) -> PodState | None:
    return max((pod for pod in observed.pods if pod.live), key=lambda pod: pod.created, default=None)


def failed(why: Explanation) -> Verdict:
    """The verdict for a training that ended without a model."""
    return Verdict(
        c.FAILED,
        why.reason,
        (
            Finding(c.FAILED, "True", why.reason, why.message),
            Finding(c.RUNNING, "False", c.TRAINER_FINISHED, "The training ended."),
        ),
    )


def _succeeded(trainingjob: TrainingJob, job: JobState, now: datetime) -> Verdict | None:
    model = trainingjob.status.model
    if model is None:
        if now - _time(job.finished_at, now) < MODEL_REPORT_GRACE:
            return None
        return failed(
            Explanation(
                c.MODEL_NOT_REPORTED,
                "The trainer ended well but reported no verified model in status.model. "
                "A trainer image of your own must report it before it exits (docs/trainer-contract.md).",
            )
        )
    metrics = ", ".join(f"{item.name} {item.value:.4g}" for item in trainingjob.status.metrics or ())
    message = f"The model lies at {model.url} ({model.size_bytes:,} bytes){f'; {metrics}' if metrics else ''}."
    return Verdict(
        c.COMPLETE,
        c.TRAINING_SUCCEEDED,
        (
            Finding(c.COMPLETE, "True", c.TRAINING_SUCCEEDED, message),
            Finding(c.MODEL_UPLOADED, "True", c.UPLOAD_VERIFIED, f"sha256 {model.sha256}"),
            Finding(c.RUNNING, "False", c.TRAINER_FINISHED, "The training ended."),
        ),
    )


def _suspended(trainingjob: TrainingJob) -> Verdict:
    remedy = (
        "it resumes when spec.suspend is false"
        if trainingjob.spec.suspend
        else "the queue that manages it will resume it"
    )
    message = f"The Job is suspended; {remedy}."
    return Verdict(
        c.SUSPENDED,
        c.JOB_SUSPENDED,
        (Finding(c.SUSPENDED, "True", c.JOB_SUSPENDED, message), Finding(c.RUNNING, "False", c.JOB_SUSPENDED, message)),
    )


def _active(observed: Observed, job: JobState, now: datetime) -> Verdict | None:
    resumed = _resumed(observed.trainingjob)
    pod = _live_pod(observed)
    if pod is not None and pod.running:
        finding = Finding(c.RUNNING, "True", c.TRAINER_RUNNING, f"Pod {pod.name} is training.")
        return Verdict(c.RUNNING, c.TRAINER_RUNNING, (finding, *resumed))
    why = _waiting(observed, job, pod, now) or _retrying(observed, job)
    if why is not None:
        return Verdict(c.PENDING, why.reason, (Finding(c.RUNNING, "False", why.reason, why.message), *resumed))
    return Verdict(c.PENDING, "", resumed) if resumed else None


def _waiting(observed: Observed, job: JobState, pod: PodState | None, now: datetime) -> Explanation | None:
    namespace = observed.trainingjob.metadata.namespace
    if observed.missing_secret:
        return explain_missing_secret(observed.missing_secret, namespace)
    if pod is not None:
        return explain_waiting(pod)
    started = _time(job.start_time, now)
    return (
        explain_no_pod(job, namespace)
        if not observed.pods and not job.failed_pods and now - started >= STARTING
        else None
    )


def _ran(trainingjob: TrainingJob) -> bool:
    """Whether the last that was said of it is that it runs, or that it stopped for being suspended."""
    said = trainingjob.condition(c.RUNNING)
    return said is not None and (said.status == "True" or said.reason == c.JOB_SUSPENDED)


def _resumed(trainingjob: TrainingJob) -> tuple[Finding, ...]:
    was = trainingjob.condition(c.SUSPENDED)
    if was is None or was.status != "True":
        return ()
    return (Finding(c.SUSPENDED, "False", c.RESUMED, "The Job is no longer suspended."),)


def _retrying(observed: Observed, job: JobState) -> Explanation | None:
    if not job.failed_pods:
        # Disrupted pods do not count as failed, but what ran runs no more. A pod that has merely ended is the Job's to judge.
        if observed.pods and _live_pod(observed) is None:
            return None
        message = "The pod that ran was disrupted or stopped; the next one starts."
        return Explanation(c.RETRYING, message) if _ran(observed.trainingjob) else None
    last, namespace = last_failed(observed.pods), observed.trainingjob.metadata.namespace
    cause = explain_pod(last, namespace).message if last else "Its pod was deleted or lost."
    total = observed.trainingjob.spec.backoff_limit + 1
    return Explanation(c.RETRYING, f"Attempt {job.failed_pods + 1} of {total} follows. The one before: {cause}")


def status_patch(observed: Observed, verdict: Verdict | None, now: datetime) -> dict[str, Any] | None:
    """The fields to set so that the status says `verdict`, or None when it says so already."""
    if verdict is None or observed.trainingjob.finished:
        return None
    current = observed.trainingjob.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    patch = _changes(current, _wanted(observed, verdict.findings, verdict, now))
    if patch and (unrecorded := expiry.unrecorded(observed)):  # said when something is written anyway
        patch = _changes(current, _wanted(observed, verdict.findings + unrecorded, verdict, now))
    if not patch.keys() - {"observedGeneration"} and current.get("observedGeneration") is None:
        return None
    return patch or None


def _changes(current: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None and current.get(name) != value}


def _wanted(observed: Observed, findings: tuple[Finding, ...], verdict: Verdict, now: datetime) -> dict[str, Any]:
    trainingjob, job = observed.trainingjob, observed.job
    generation = trainingjob.metadata.generation
    conditions = merge(trainingjob.status.conditions, findings, generation, timestamp(now))
    wanted: dict[str, Any] = {
        "phase": verdict.phase,
        "reason": verdict.reason,
        "observedGeneration": generation,
        "conditions": [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in conditions],
    }
    if job is not None:
        wanted |= {"jobName": job.name, "startTime": job.start_time, "restarts": _restarts(job, verdict)}
    if verdict.terminal:
        wanted["completionTime"] = (job.finished_at if job else None) or timestamp(now)
    return wanted


def _restarts(job: JobState, verdict: Verdict) -> int:
    # The last failed pod of a failed training was not replaced.
    return max(0, job.failed_pods - (1 if verdict.phase == c.FAILED else 0))


def condition_patch(trainingjob: TrainingJob, finding: Finding, now: datetime) -> dict[str, Any] | None:
    """The fields to set for one condition, or None when it is set so already."""
    conditions = merge(trainingjob.status.conditions, [finding], trainingjob.metadata.generation, timestamp(now))
    if conditions == trainingjob.status.conditions:
        return None
    return {"conditions": [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in conditions]}


def timestamp(moment: datetime) -> str:
    """RFC 3339 with seconds, as Kubernetes writes it. `moment` is in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str | None, default: datetime) -> datetime:
    return datetime.fromisoformat(text) if text else default


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
