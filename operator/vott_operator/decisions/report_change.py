"""Whether a change of a TrainingJob is only a report of its trainer, which needs no reconcile. Pure.

A thousand trainings report a hundred times a second.
"""

from vott_operator.api import constants as c
from vott_operator.api.status import TrainingJobStatus
from vott_operator.api.trainingjob import Metadata, TrainingJob

_REPORTED = {"progress", "metrics", "checkpoint"}
_OTHER_STATUS = tuple(TrainingJobStatus.model_fields.keys() - _REPORTED)
_OTHER_METADATA = tuple(Metadata.model_fields.keys() - {"resource_version"})


def is_only_report(before: TrainingJob | None, after: TrainingJob) -> bool:
    """Whether a running training has changed in nothing that a plan looks at. Its model is part of its end, so more than a report."""
    if before is None or after.status.phase != c.RUNNING:
        return False
    if before.metadata == after.metadata:  # the event of a write whose answer was stored
        return False
    stalled = after.condition(c.STALLED)
    if stalled is not None and stalled.status == "True":
        return False
    return _same(before.metadata, after.metadata, _OTHER_METADATA) and _same(before.status, after.status, _OTHER_STATUS)


def _same(before: Metadata | TrainingJobStatus, after: Metadata | TrainingJobStatus, fields: tuple[str, ...]) -> bool:
    return all(getattr(before, field) == getattr(after, field) for field in fields)
