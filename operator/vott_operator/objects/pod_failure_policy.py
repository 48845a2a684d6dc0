"""Which failures of a pod the Job retries, ignores or treats as final: backoffLimit and podFailurePolicy."""

from vott_guard import exit_codes
from vott_operator.api import constants as c
from vott_operator.objects.metadata import Manifest

DISRUPTED = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
"""Eviction, drain, preemption or a lost node."""
DISRUPTION_RULE = 0
"""Several nodes: index of the rule for DISRUPTED. The Job's condition names the index of the rule that failed it."""


def for_one_node(backoff_limit: int) -> Manifest:
    """The Job replaces the pod. Interruptions do not count against `backoff_limit`."""
    rules = [
        {"action": "Ignore", **DISRUPTED},
        {"action": "Ignore", **_exited(exit_codes.SIGTERM)},
        {"action": "FailJob", **_exited(*exit_codes.PERMANENT)},
    ]
    return {"backoffLimit": backoff_limit, "podFailurePolicy": {"rules": rules}}


def for_several_nodes() -> Manifest:
    """The first failure ends all pods, which can't continue without each other; the operator creates the next Job.

    SIGTERM does not fail the Job, or it could not be suspended. If only one pod gets it, the others soon fail with PeerLost.
    """
    rules = [
        {"action": "FailJob", **DISRUPTED},
        {"action": "Ignore", **_exited(exit_codes.SIGTERM)},
        {"action": "FailJob", **_exited(*exit_codes.PERMANENT)},
    ]
    # The first pod uploads and reports: another pod that is lost after that must not fail the Job.
    success = {"rules": [{"succeededIndexes": "0"}]}
    return {"backoffLimit": 0, "podFailurePolicy": {"rules": rules}, "successPolicy": success}


def _exited(*codes: int) -> Manifest:
    return {"onExitCodes": {"containerName": c.TRAINER_CONTAINER, "operator": "In", "values": list(codes)}}
