"""What metrics show of a TrainingJob: small, because the Store keeps it parsed for each of them. Pure."""

from sys import intern
from typing import NamedTuple, Self

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.outcome import has_pending_callback


class Summary(NamedTuple):
    """One TrainingJob."""

    phase: str
    reason: str
    finished: bool
    queue: str
    """Identity of its message's queue; empty without a message."""
    waits_for_quota: bool
    pending_since: str
    """Since when it has been pending; empty if it is not."""
    is_stalled: bool
    callback_since: str
    """Since when its outcome has been due; empty if none is."""
    gpus: int
    """Of each of its pods."""

    @classmethod
    def of(cls, trainingjob: TrainingJob) -> Self:
        """Summarize a TrainingJob."""
        status, metadata = trainingjob.status, trainingjob.metadata
        phase, finished = status.phase or c.PENDING, trainingjob.finished
        running, stalled = trainingjob.condition(c.RUNNING), trainingjob.condition(c.STALLED)
        since = running.last_transition_time if running else metadata.creation_timestamp
        return cls(
            phase=intern(phase),
            reason=intern(status.reason or ""),
            finished=finished,
            queue=intern(metadata.annotations.get(c.ANNOTATION_QUEUE, "")),
            waits_for_quota=trainingjob.waits_for_quota,
            pending_since=since if phase == c.PENDING and not finished else "",
            is_stalled=not finished and stalled is not None and stalled.status == "True",
            callback_since=status.completion_time or "" if finished and has_pending_callback(trainingjob) else "",
            gpus=trainingjob.spec.trainer.gpus,
        )
