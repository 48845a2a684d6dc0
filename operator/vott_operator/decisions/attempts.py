"""status.attempts: the pods that ended before the training did, and what follows from them. Pure.

Kubernetes forgets these pods, so the status keeps them: they decide when evictions and interruptions are too many, and which
nodes the next pod avoids. A pod is recorded once, by its name.
"""

from itertools import takewhile

from vott_operator.api import constants as c
from vott_operator.api.status import MAX_ATTEMPTS, Attempt
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.failure_kind import first_failed
from vott_operator.decisions.failure_messages import explain_failed_pod
from vott_operator.decisions.observed import KUBELET_DISRUPTION, Observed, PodState


def attempts(observed: Observed) -> tuple[Attempt, ...]:
    """The attempts in the status, and those that have ended since."""
    trainingjob = observed.trainingjob
    recorded = trainingjob.status.attempts or ()
    names, newest = {attempt.pod_name for attempt in recorded}, recorded[-1].created if recorded else ""
    # RFC 3339 in UTC with seconds, so they compare as strings. Older pods may have left the bounded list.
    new = [pod for pod in _ended_pods(observed) if pod.name not in names and pod.created >= newest]
    if not new:
        return recorded
    entries = (*recorded, *(_attempt(trainingjob, pod) for pod in new))
    # By name too: of pods of the same second, the same ones must leave the list each time, or it would change for ever.
    return tuple(sorted(entries, key=lambda entry: (entry.created, entry.pod_name)))[-MAX_ATTEMPTS:]


def interruptions_without_progress(entries: tuple[Attempt, ...]) -> int:
    """The interruptions and evictions in a row, the newest included, between which the training got no further."""
    outcomes = (entry.outcome for entry in reversed(_without_progress(entries)))
    return sum(1 for _ in takewhile(lambda outcome: outcome in (c.ATTEMPT_INTERRUPTED, c.ATTEMPT_EVICTED), outcomes))


def evictions_without_progress(entries: tuple[Attempt, ...]) -> int:
    """How often a node evicted the training for lack of a resource since it last got further."""
    return sum(entry.outcome == c.ATTEMPT_EVICTED for entry in _without_progress(entries))


def rejections(entries: tuple[Attempt, ...]) -> int:
    """How often a node rejected the training's pod."""
    return sum(entry.outcome == c.ATTEMPT_REJECTED for entry in entries)


def last_was_rejected(trainingjob: TrainingJob) -> bool:
    """Whether the newest recorded attempt never began, because its node rejected it."""
    recorded = trainingjob.status.attempts or ()
    return bool(recorded) and recorded[-1].outcome == c.ATTEMPT_REJECTED


def _without_progress(entries: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The newest attempts, from the last one that got further than all before it."""
    first, furthest = 0, (0, 0, 0)
    for index, entry in enumerate(entries):
        if entry.position > furthest:
            first, furthest = index, entry.position
    return entries[first:]


def _ended_pods(observed: Observed) -> list[PodState]:
    ended = [pod for pod in observed.job_pods if _is_disrupted(pod) or (pod.phase == "Failed" and not pod.interrupted)]
    if observed.trainingjob.spec.trainer.nodes == 1:
        return [pod for pod in ended if pod.exit_code != 0]
    # All pods end with the first, which alone tells why.
    disrupted = next((pod for pod in ended if _is_disrupted(pod)), None)
    first = disrupted or (first_failed(tuple(ended)) if observed.job and observed.job.failed_reason else None)
    recorded = {attempt.pod_name for attempt in observed.trainingjob.status.attempts or ()}
    return [] if first is None or recorded & {pod.name for pod in observed.job_pods} else [first]


def _is_disrupted(pod: PodState) -> bool:
    # The kubelet says only at the pod's end whether it evicted it.
    return bool(pod.disruption) and (pod.finished or pod.disruption != KUBELET_DISRUPTION)


def _attempt(trainingjob: TrainingJob, pod: PodState) -> Attempt:
    outcome, reason = _outcome(pod, trainingjob.metadata.namespace)
    fold, epoch, step = _position(trainingjob)
    return Attempt(
        pod_name=pod.name,
        node_name=pod.node or None,
        outcome=outcome,
        reason=reason,
        created=pod.created,
        fold=fold,
        epoch=epoch,
        step=step,
    )


def _outcome(pod: PodState, namespace: str) -> tuple[str, str]:
    if pod.evicted:
        return c.ATTEMPT_EVICTED, c.EVICTED
    if pod.disruption:
        return c.ATTEMPT_INTERRUPTED, pod.disruption
    if pod.rejected:
        return c.ATTEMPT_REJECTED, pod.reason
    return c.ATTEMPT_FAILED, explain_failed_pod(pod, namespace).reason


def _position(trainingjob: TrainingJob) -> tuple[int, int, int]:
    progress, checkpoint = trainingjob.status.progress, trainingjob.status.checkpoint
    reported = saved = (0, 0, 0)
    if progress is not None:
        reported = (progress.fold_current or 0, progress.epoch_current or 0, progress.step_current or 0)
    if checkpoint is not None:
        saved = (reported[0], checkpoint.epoch, checkpoint.step)
    return max(reported, saved)
