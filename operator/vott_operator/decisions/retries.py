"""Retries after a failure (spec.backoffLimit), and after an interruption or a rejection, which do not count. Pure.

With one node, the Job replaces the pod. The operator replaces the whole Job, with exponential backoff, after each failure of
several nodes, and whenever the Job itself can't go on: it counts rejected pods, it can't choose another node, and it does not
see a trainer that ended beside a container that still runs.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from vott_guard import exit_codes
from vott_guard.backoff import Backoff
from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.times import parse_timestamp
from vott_operator.decisions import sidecars, suspension
from vott_operator.decisions.attempts import attempts, rejections
from vott_operator.decisions.condition_messages import explain_interruption, explain_rejection, explain_retry
from vott_operator.decisions.failure_kind import (
    DEADLINE_REASON,
    counted_failures,
    first_failed,
    is_interruption,
    is_permanent,
    last_failed,
)
from vott_operator.decisions.failure_messages import after_attempts, explain_failed_pod, explain_failure, explain_hang
from vott_operator.decisions.observed import JobState, Observed, PodState
from vott_operator.decisions.phase_result import PhaseResult, failed, pending
from vott_operator.objects.node_affinity import unreliable_nodes

BACKOFF = Backoff(first=10.0, longest=360.0)
"""Between Jobs that replace each other: the same as a Job's own backoff between pods."""


def after_failed_job(observed: Observed, job: JobState) -> PhaseResult:
    """The phase after the Job failed: Failed, or Pending until the next Job.

    A Job of one node has used up its retries, though perhaps for pods that were rejected. A Job of several nodes fails at the
    first failure.
    """
    trainer, metadata, pods = observed.trainingjob.spec.trainer, observed.trainingjob.metadata, observed.job_pods
    failure = explain_failure(job, pods, trainer.nodes, metadata.namespace)
    limit = observed.trainingjob.spec.backoff_limit
    if trainer.nodes == 1:
        failures = counted_failures(job, pods)
        if job.failed_reason != c.BACKOFF_LIMIT_EXCEEDED or failures > limit or not any(pod.rejected for pod in pods):
            return failed(failure)
        return _next_job(_explain_next(observed, job, pods), failures)
    if job.suspended:
        return replace(suspension.suspended(observed.trainingjob), replace_job=True)
    if job.failed_reason != DEADLINE_REASON and is_interruption(job, pods):
        disrupted = next((pod for pod in pods if pod.disruption), None)
        return _next_job(explain_interruption(disrupted, observed.trainingjob.status.checkpoint), job.failures)
    culprit = first_failed(pods)
    if culprit is not None and culprit.rejected and not is_permanent(job):
        return _next_job(explain_rejection(culprit, _avoided(observed, culprit)), job.failures)
    failures = job.failures + 1
    if is_permanent(job) or failures > limit:
        return failed(failure, failures)
    cause = explain_failed_pod(culprit, metadata.namespace).message if culprit else "Its pods are gone."
    return _next_job(explain_retry(failures + 1, limit, cause), failures)


def decided_before(observed: Observed, job: JobState) -> PhaseResult | None:
    """The retry that the status shows already, although the Job was not deleted: the request failed, or the operator was killed."""
    status, running = observed.trainingjob.status, observed.trainingjob.condition(c.RUNNING)
    failures = status.failures or 0
    if failures <= _failures(observed, job) or running is None or running.reason != c.RETRYING:
        return None
    return _next_job(Explanation(running.reason, running.message), failures)


def after_unseen_failure(observed: Observed, job: JobState) -> PhaseResult | None:
    """The phase after a trainer failed beside containers that still run; None if none did. The operator ends those with the Job."""
    pod = first_failed(sidecars.failed_beside(observed))
    if pod is None:
        return None
    if pod.interrupted or is_interruption(job, (pod,)):
        return _next_job(explain_interruption(pod, observed.trainingjob.status.checkpoint), _failures(observed, job))
    cause = explain_failed_pod(pod, observed.trainingjob.metadata.namespace)
    if pod.exit_code in exit_codes.PERMANENT:
        return failed(cause)
    return _after_uncounted(observed, job, cause)


def after_hang(observed: Observed, job: JobState, seconds: int) -> PhaseResult:
    """The phase after the trainer has not reported for too long, which counts as a failure."""
    return _after_uncounted(observed, job, explain_hang(seconds))


def on_another_node(observed: Observed, job: JobState) -> PhaseResult | None:
    """One node: replace the Job, whose template can't change, so that its next pod prefers another node than the last two."""
    pods = observed.job_pods
    last = max((pod for pod in pods if not pod.active), key=lambda pod: pod.created, default=None)
    if observed.trainingjob.spec.trainer.nodes > 1 or last is None or any(pod.active and pod.running for pod in pods):
        return None
    failures, is_final = counted_failures(job, pods), last.exit_code in exit_codes.PERMANENT
    if is_final or not _is_counted(job, pods) or failures > observed.trainingjob.spec.backoff_limit:
        return None
    unreliable = set(unreliable_nodes(attempts(observed))) - set(job.avoided_nodes)
    is_counted_here = last.phase == "Failed" and (last.evicted or not last.interrupted)
    if last.node not in unreliable or not is_counted_here:
        return None
    checkpoint = observed.trainingjob.status.checkpoint
    interruption = explain_interruption(last, checkpoint) if last.evicted else None
    return _next_job(interruption or _explain_next(observed, job, pods), failures)


def next_job_time(observed: Observed, job: JobState, now: datetime) -> datetime:
    """When a failed Job may be replaced: its start plus a backoff that doubles with each restart and rejection."""
    if not job.finished:
        return now  # before it starts another pod itself
    number = (observed.trainingjob.status.restarts or 0) + max(1, rejections(attempts(observed)))
    return parse_timestamp(job.start_time, now) + timedelta(seconds=BACKOFF.ceiling(number))  # no jitter: pure


def explain_next_pod(observed: Observed, job: JobState) -> Explanation | None:
    """One node: why the last pod stopped, while the Job starts the next one; None if there was none."""
    pods = observed.job_pods
    ended = max((pod for pod in pods if not pod.active), key=lambda pod: pod.created, default=None)
    if (ended is None and not job.failed_pods) or (ended is not None and ended.interrupted):
        running = observed.trainingjob.condition(c.RUNNING)
        # Without the pod, the condition that was written while it was there has the better message.
        already_explained = ended is None and running is not None and running.reason == c.INTERRUPTED
        if already_explained or not observed.trainingjob.was_running:
            return None
        return explain_interruption(ended, observed.trainingjob.status.checkpoint)
    if ended is not None and (ended.phase != "Failed" or not _is_counted(job, pods)):
        return None  # the Job has yet to decide whether this pod is retried
    return _explain_next(observed, job, pods)


def _is_counted(job: JobState, pods: tuple[PodState, ...]) -> bool:
    """Whether the Job has counted the failed pods."""
    return sum(pod.phase == "Failed" and not pod.interrupted for pod in pods) <= job.failed_pods


def _explain_next(observed: Observed, job: JobState, pods: tuple[PodState, ...]) -> Explanation:
    """One node: why another pod follows after the last one failed or was rejected."""
    last, trainingjob = last_failed(pods), observed.trainingjob
    if last is not None and last.rejected:
        return explain_rejection(last, _avoided(observed, last))
    attempt, limit = counted_failures(job, pods) + 1, trainingjob.spec.backoff_limit
    if last is None:
        return explain_retry(attempt, limit, "Its pod was deleted or lost.")
    cause = explain_failed_pod(last, trainingjob.metadata.namespace).message
    return explain_retry(attempt, limit, cause, _avoided(observed, last))


def _avoided(observed: Observed, pod: PodState) -> str:
    """The pod's node, if the next pod is to avoid it."""
    return pod.node if pod.node in unreliable_nodes(attempts(observed)) else ""


def _failures(observed: Observed, job: JobState) -> int:
    """The failures counted so far."""
    if observed.trainingjob.spec.trainer.nodes > 1:
        return job.failures
    return counted_failures(job, observed.job_pods)


def _after_uncounted(observed: Observed, job: JobState, cause: Explanation) -> PhaseResult:
    """The phase after a failure that the Job has not counted."""
    failures, limit = _failures(observed, job) + 1, observed.trainingjob.spec.backoff_limit
    if failures > limit:
        return failed(after_attempts(cause, failures), failures)
    return _next_job(explain_retry(failures + 1, limit, cause.message), failures)


def _next_job(explanation: Explanation, failures: int) -> PhaseResult:
    return replace(pending(explanation), failures=failures, replace_job=True)
