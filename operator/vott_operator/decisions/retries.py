"""Retries after a failure (spec.backoffLimit) and after an interruption, which does not count. Pure.

With one node, the Job replaces the pod. With several, the operator replaces the whole Job, with exponential backoff.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from vott_guard.backoff import Backoff
from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.times import parse_timestamp
from vott_operator.decisions import suspension
from vott_operator.decisions.condition_messages import explain_interruption, explain_retry
from vott_operator.decisions.failure_kind import (
    DEADLINE_REASON,
    first_failed,
    is_interruption,
    is_permanent,
    last_failed,
)
from vott_operator.decisions.failure_messages import explain_failed_pod, explain_failure
from vott_operator.decisions.observed import JobState, Observed
from vott_operator.decisions.phase_result import PhaseResult, failed, pending

BACKOFF = Backoff(first=10.0, longest=360.0)
"""Between Jobs that replace each other: the same as a Job's own backoff between pods."""


def after_failed_job(observed: Observed, job: JobState) -> PhaseResult:
    """The phase after the Job failed: Failed, or with several nodes Pending until the next Job.

    A Job of one node has used up its retries. A Job of several nodes fails at the first failure.
    """
    trainer, metadata, pods = observed.trainingjob.spec.trainer, observed.trainingjob.metadata, observed.job_pods
    failure = explain_failure(job, pods, trainer.nodes, metadata.namespace)
    if trainer.nodes == 1:
        return failed(failure)
    if job.suspended:
        return replace(suspension.suspended(observed.trainingjob), replace_job=True)
    if job.failed_reason != DEADLINE_REASON and is_interruption(job, pods):
        disrupted = next((pod for pod in pods if pod.disruption), None)
        return _next_job(explain_interruption(disrupted, observed.trainingjob.status.checkpoint), job.failures)
    failures = job.failures + 1
    limit = observed.trainingjob.spec.backoff_limit
    if is_permanent(job) or failures > limit:
        return failed(failure, failures)
    culprit = first_failed(pods)
    cause = explain_failed_pod(culprit, metadata.namespace).message if culprit else "Its pods are gone."
    return _next_job(explain_retry(failures + 1, limit, cause), failures)


def next_job_time(observed: Observed, job: JobState, now: datetime) -> datetime:
    """When a failed Job of several nodes may be replaced: its start plus a backoff that doubles with each restart."""
    restarts = observed.trainingjob.status.restarts or 0
    return parse_timestamp(job.start_time, now) + timedelta(seconds=BACKOFF.ceiling(restarts + 1))  # no jitter: pure


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
    is_counted = sum(pod.phase == "Failed" and not pod.interrupted for pod in pods) <= job.failed_pods
    if ended is not None and (ended.phase != "Failed" or not is_counted):
        return None  # the Job has yet to decide whether this pod is retried
    last, namespace = last_failed(pods), observed.trainingjob.metadata.namespace
    cause = explain_failed_pod(last, namespace).message if last else "Its pod was deleted or lost."
    return explain_retry(job.failed_pods + 1, observed.trainingjob.spec.backoff_limit, cause)


def _next_job(explanation: Explanation, failures: int) -> PhaseResult:
    return replace(pending(explanation), failures=failures, replace_job=True)
