"""When a training has been evicted or interrupted too often. Pure."""

from vott_operator.decisions.attempts import attempts, evictions_without_progress, interruptions_without_progress
from vott_operator.decisions.failure_messages import explain_too_many_evictions, explain_too_many_interruptions
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult, failed

EVICTION_LIMIT = 5
"""A node that lacks a resource evicts what uses most of it, and so may every other node. One in between that got further starts the count again."""


def exceeded(observed: Observed, interruption_limit: int) -> PhaseResult | None:
    """Failed, if another pod would only be evicted or interrupted once more; 0: no limit of interruptions."""
    pods, entries = observed.job_pods, attempts(observed)
    if not entries or any(pod.active and pod.running for pod in pods):
        return None  # a pod that already runs may succeed
    if evictions_without_progress(entries) >= EVICTION_LIMIT:
        evicted = max((pod for pod in pods if pod.evicted), key=lambda pod: pod.created, default=None)
        return failed(explain_too_many_evictions(EVICTION_LIMIT, evicted.message if evicted else ""))
    if 0 < interruption_limit <= interruptions_without_progress(entries):
        return failed(explain_too_many_interruptions(interruption_limit, entries[-1].reason))
    return None
