"""When a finished TrainingJob may go (`ttlSecondsAfterFinished`). Pure.

It holds the door shut: as long as the message that brought it may still come back, its name must stay taken, or the
message would train once more.
"""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import Finding
from vott_operator.api.times import moment
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import Observed

MESSAGE_LIFE = timedelta(days=14)
"""After so long a message that nobody saw removed is taken for gone: Azure's own defaults are 7 (Storage) and 14 days (Service Bus)."""


def is_settled(observed: Observed) -> bool:
    """Whether no message can come back for this TrainingJob."""
    trainingjob = observed.trainingjob
    if c.ANNOTATION_MESSAGE_ID not in trainingjob.metadata.annotations:
        return True
    return observed.message_settled or _is_recorded(trainingjob)


def unrecorded(observed: Observed) -> tuple[Finding, ...]:
    """The condition MessageSettled, when it is known and stands nowhere yet."""
    trainingjob = observed.trainingjob
    if not observed.message_settled or _is_recorded(trainingjob):
        return ()
    queue = trainingjob.metadata.annotations.get(c.ANNOTATION_QUEUE, "its queue")
    return (Finding(c.MESSAGE_SETTLED, "True", c.REMOVED_FROM_QUEUE, f"The message was removed from {queue}."),)


def remaining(observed: Observed, now: datetime) -> timedelta | None:
    """How long the finished TrainingJob still stays (zero or less: it may go); None for as long as nothing changes."""
    trainingjob = observed.trainingjob
    seconds = trainingjob.spec.ttl_seconds_after_finished
    if seconds is None:
        return None
    stays = moment(trainingjob.status.completion_time, now) + timedelta(seconds=seconds) - now
    if is_settled(observed):
        return stays
    return max(stays, moment(trainingjob.metadata.creation_timestamp, now) + MESSAGE_LIFE - now)


def _is_recorded(trainingjob: TrainingJob) -> bool:
    told = trainingjob.condition(c.MESSAGE_SETTLED)
    return told is not None and told.status == "True"
