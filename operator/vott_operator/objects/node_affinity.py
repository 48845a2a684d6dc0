"""Keeps a training's next pods away from nodes on which its pods have failed again and again."""

from collections import Counter
from collections.abc import Iterable

from vott_operator.api import constants as c
from vott_operator.api.status import Attempt
from vott_operator.objects.metadata import Manifest

REPEATED = 2
"""So many attempts that end on one node make it unreliable for this training."""
NODE_FAULTS = (c.TRAINER_FAILED, c.GPU_ERROR, c.DISK_FULL)
"""Reasons of failures that another node may not have. Out of memory or bad data is the same everywhere."""
MAX_AVOIDED_NODES = 10


def unreliable_nodes(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """The nodes on which at least two attempts ended for a reason that may be the node's, sorted."""
    suspects = Counter(attempt.node_name for attempt in attempts if attempt.node_name and _may_be_the_nodes(attempt))
    nodes = [node for node, number in suspects.most_common(MAX_AVOIDED_NODES) if number >= REPEATED]
    return tuple(sorted(nodes))


def avoid(nodes: tuple[str, ...]) -> Manifest:
    """An affinity that prefers other nodes. It requires none, because there may be no other."""
    expression = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": list(nodes)}
    preferred = [{"weight": 100, "preference": {"matchExpressions": [expression]}}]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _may_be_the_nodes(attempt: Attempt) -> bool:
    if attempt.outcome == c.ATTEMPT_FAILED:
        return attempt.reason in NODE_FAULTS
    return attempt.outcome in (c.ATTEMPT_REJECTED, c.ATTEMPT_EVICTED)
