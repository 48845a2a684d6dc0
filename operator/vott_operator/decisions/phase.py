"""What is to be said of a TrainingJob now: from what was observed to a phase, a reason and conditions. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import Finding
from vott_operator.api.times import moment
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.evidence import STARTING, is_lost, lacks_pods, lacks_pods_since, was_running
from vott_operator.decisions.explanations import (
    DEADLINE_REASON,
    Explanation,
    explain_failure,
    explain_interruption,
    explain_lost,
    explain_missing_keys,
    explain_missing_secret,
    explain_no_pod,
    explain_pod,
    explain_waiting,
    first_failed,
    is_interruption,
    is_permanent,
    last_failed,
)
from vott_operator.decisions.observed import JobState, Observed, PodState

WAITS = (
    c.UNSCHEDULABLE,
    c.QUOTA_EXCEEDED,
    c.IMAGE_PULL_FAILED,
    c.CONTAINER_CONFIG_ERROR,
    c.POD_NOT_CREATED,
    c.JOB_NOT_CREATED,
    c.OLD_JOB_REMAINS,
    c.WAITING_FOR_PODS,
)
MODEL_REPORT_GRACE = timedelta(seconds=60)
"""How long after the pod's success its last status report may still be on the way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The phase, why it is so, and the conditions that say it."""

    phase: str
    reason: str
    findings: tuple[Finding, ...] = field(default=())
    failures: int | None = None
    """With several nodes: the failures that count by now."""
    replace_job: bool = False
    """The Job of several nodes failed, and another one is to take its place."""

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
        return _failed_job(observed, job)
    if job.suspended:
        return suspended(observed.trainingjob)
    if job.ending or job.resuming or job.start_time is None:
        return None  # its controller is about to say more
    return _overdue(observed, job, now) or _active(observed, job, now)


# ------------------------------------------------------------------------------------------------------------- the ends


def failed(why: Explanation, failures: int | None = None) -> Verdict:
    """The verdict for a training that ended without a model."""
    ended = Finding(c.RUNNING, "False", c.TRAINER_FINISHED, "The training ended.")
    return Verdict(c.FAILED, why.reason, (Finding(c.FAILED, "True", why.reason, why.message), ended), failures)


def pending(why: Explanation, *more: Finding) -> Verdict:
    """The verdict for a training that does not run for now."""
    return Verdict(c.PENDING, why.reason, (Finding(c.RUNNING, "False", why.reason, why.message), *more))


def cancelled() -> Verdict:
    """The verdict for a training whose TrainingJob was deleted before it ended."""
    return failed(Explanation(c.CANCELLED, "The TrainingJob was deleted before its training ended."))


def _succeeded(trainingjob: TrainingJob, job: JobState, now: datetime) -> Verdict | None:
    model = trainingjob.status.model
    if model is None:
        if now - moment(job.finished_at, now) < MODEL_REPORT_GRACE:
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


def _failed_job(observed: Observed, job: JobState) -> Verdict:
    """A Job of one node has tried as often as it may; one of several nodes fails whole at its first failure."""
    trainer, metadata, pods = observed.trainingjob.spec.trainer, observed.trainingjob.metadata, observed.job_pods
    why = explain_failure(job, pods, trainer.nodes, metadata.namespace)
    if trainer.nodes == 1:
        return failed(why)
    if job.suspended:
        return replace(suspended(observed.trainingjob), replace_job=True)
    if job.failed_reason != DEADLINE_REASON and is_interruption(job, pods):
        disrupted = next((pod for pod in pods if pod.disruption), None)
        return _again(explain_interruption(disrupted, observed.trainingjob.status.checkpoint), job.failures)
    failures = job.failures + 1
    limit = observed.trainingjob.spec.backoff_limit
    if is_permanent(job) or failures > limit:
        return failed(why, failures)
    guilty = first_failed(pods)
    cause = explain_pod(guilty, metadata.namespace).message if guilty else "its pods are gone."
    return _again(_attempt(failures + 1, limit, cause), failures)


def _again(why: Explanation, failures: int) -> Verdict:
    return replace(pending(why), failures=failures, replace_job=True)


def _overdue(observed: Observed, job: JobState, now: datetime) -> Verdict | None:
    """The end of a training that waited too long for a node."""
    due = node_due(observed, job, now)
    if due is None or now < due:
        return None
    seconds = observed.trainingjob.spec.pending_deadline_seconds
    waiting = next((pod for pod in observed.job_pods if pod.live and not pod.node), None)
    cause = _waiting(observed, job, waiting, now)
    text = (
        f"The training got no node within {seconds} s (spec.pendingDeadlineSeconds). {cause.message if cause else ''}"
    )
    return failed(Explanation(c.PENDING_DEADLINE_EXCEEDED, text.rstrip()))


def node_due(observed: Observed, job: JobState, now: datetime) -> datetime | None:
    """When spec.pendingDeadlineSeconds ends the training; None where it does not, or while no pod waits for a node."""
    seconds = observed.trainingjob.spec.pending_deadline_seconds
    if seconds is None or job.suspended or job.over:
        return None
    waiting = [pod.created for pod in observed.job_pods if pod.live and not pod.node]
    since = moment(min(waiting), now) if waiting else _without_pod_since(observed, now)
    return since + timedelta(seconds=seconds) if since is not None else None


def _without_pod_since(observed: Observed, now: datetime) -> datetime | None:
    """Since when it lacks a pod. After an interruption that is not since the Job's start, even where the pod left no trace."""
    since, said = lacks_pods_since(observed, now), observed.trainingjob.condition(c.RUNNING)
    if since is None or said is None:
        return since
    return None if said.status == "True" else max(since, moment(said.last_transition_time, since))


# ---------------------------------------------------------------------------------------------------- before the end


def suspended(trainingjob: TrainingJob) -> Verdict:
    """The verdict for a training whose Job is held back."""
    reason, message = c.JOB_SUSPENDED, "The training is suspended; it goes on when spec.suspend is false."
    queue = trainingjob.metadata.labels.get(c.KUEUE_QUEUE_LABEL)
    if queue and not trainingjob.spec.suspend:
        reason = c.WAITING_FOR_QUOTA
        message = (
            f"Kueue holds the training back until LocalQueue {queue} has quota for it; "
            f"see `kubectl get workloads -n {trainingjob.metadata.namespace}`."
        )
    return Verdict(
        c.SUSPENDED,
        reason,
        (Finding(c.SUSPENDED, "True", reason, message), Finding(c.RUNNING, "False", reason, message)),
    )


def ending_pods(observed: Observed, now: datetime) -> Verdict | None:
    """What to say while pods of an earlier Job still end; None where the reason stands there already."""
    pod = next(pod for pod in observed.pods if not pod.over)
    if is_lost(pod, now):
        return pending(explain_lost(pod))
    said = observed.trainingjob.condition(c.RUNNING)
    if said is not None and said.reason in (c.RETRYING, c.INTERRUPTED, c.OLD_JOB_REMAINS):
        return None
    message = f"Pod {pod.name} of an earlier Job still ends; it is waited for, so that no two train at once."
    return pending(Explanation(c.OLD_JOB_REMAINS, message))


def _active(observed: Observed, job: JobState, now: datetime) -> Verdict | None:
    resumed = _resumed(observed.trainingjob)
    lost = next((explain_lost(pod) for pod in observed.job_pods if is_lost(pod, now)), None)
    nodes = observed.trainingjob.spec.trainer.nodes
    running = {pod.index: pod for pod in observed.job_pods if pod.live and pod.running}
    if len(running) == nodes:
        who = f"Pod {running[0].name} is training." if nodes == 1 else f"All {nodes} pods are training."
        return Verdict(c.RUNNING, c.TRAINER_RUNNING, (Finding(c.RUNNING, "True", c.TRAINER_RUNNING, who), *resumed))
    pod = max((p for p in observed.job_pods if p.live and not p.running), key=lambda p: p.created, default=None)
    present = {pod.index for pod in observed.job_pods if pod.live}
    if nodes > 1 and lost is None and any(pod.index not in present for pod in observed.job_pods):
        return None  # the Job ends them all, and then says what it was
    waiting = lost or _waiting(observed, job, pod, now)
    if nodes > 1 and running:
        waiting = _with_others(waiting, pod, len(running), nodes, now)
    why = waiting or _retrying(observed, job)
    if why is not None:
        return pending(why, *resumed)
    if resumed:
        starting = Finding(c.RUNNING, "False", c.RESUMED, "The Job was resumed; its pod starts.")
        return Verdict(c.PENDING, "", (starting, *resumed))
    return _no_longer_waiting(observed.trainingjob, pod)


def _no_longer_waiting(trainingjob: TrainingJob, pod: PodState | None) -> Verdict | None:
    """Take back a reason that no longer holds, while the pod pulls its image."""
    if pod is None or not pod.node or trainingjob.status.reason not in WAITS:
        return None
    return pending(Explanation(c.POD_STARTING, f"Pod {pod.name} starts on node {pod.node}."))


def _with_others(
    why: Explanation | None, pod: PodState | None, running: int, nodes: int, now: datetime
) -> Explanation | None:
    state = f"{running} of {nodes} pods run and wait for the others."
    if why is not None:
        return Explanation(why.reason, f"{state} {why.message}")
    merely_starting = pod is not None and now - moment(pod.created, now) < STARTING
    return None if merely_starting else Explanation(c.WAITING_FOR_PODS, state)


def _waiting(observed: Observed, job: JobState, pod: PodState | None, now: datetime) -> Explanation | None:
    namespace = observed.trainingjob.metadata.namespace
    if observed.missing_secret:
        return explain_missing_secret(observed.missing_secret, namespace)
    if observed.missing_keys and (reference := observed.trainingjob.spec.url_secret_ref):
        return explain_missing_keys(reference.name, observed.missing_keys, namespace)
    if pod is not None:
        return explain_waiting(pod)
    never_had_one = not observed.job_pods and not job.failed_pods and not was_running(observed.trainingjob)
    if lacks_pods(observed, now) and (observed.refusal or never_had_one):
        return explain_no_pod(job, observed.refusal, namespace)
    return None


def _resumed(trainingjob: TrainingJob) -> tuple[Finding, ...]:
    was = trainingjob.condition(c.SUSPENDED)
    if was is None or was.status != "True":
        return ()
    return (Finding(c.SUSPENDED, "False", c.RESUMED, "The Job is no longer suspended."),)


def _retrying(observed: Observed, job: JobState) -> Explanation | None:
    """Why what ran runs no more, while the next pod is on its way."""
    pods = observed.job_pods
    ended = max((pod for pod in pods if not pod.live), key=lambda pod: pod.created, default=None)
    if (ended is None and not job.failed_pods) or (ended is not None and ended.interrupted):
        said = observed.trainingjob.condition(c.RUNNING)
        told = ended is None and said is not None and said.reason == c.INTERRUPTED  # and knew more
        if told or not was_running(observed.trainingjob):
            return None
        return explain_interruption(ended, observed.trainingjob.status.checkpoint)
    counted = sum(pod.phase == "Failed" and not pod.interrupted for pod in pods) <= job.failed_pods
    if ended is not None and (ended.phase != "Failed" or not counted):
        return None  # what has merely ended is the Job's to judge
    last, namespace = last_failed(pods), observed.trainingjob.metadata.namespace
    cause = explain_pod(last, namespace).message if last else "Its pod was deleted or lost."
    return _attempt(job.failed_pods + 1, observed.trainingjob.spec.backoff_limit, cause)


def _attempt(number: int, limit: int, cause: str) -> Explanation:
    return Explanation(c.RETRYING, f"Attempt {number} of {limit + 1} follows. The one before: {cause}")
