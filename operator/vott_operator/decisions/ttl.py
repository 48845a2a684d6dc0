"""When a finished TrainingJob is deleted (ttlSecondsAfterFinished). Pure.

While its message may come back, the TrainingJob must keep its name taken: otherwise the message would train again.
"""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.observed import Observed

MESSAGE_LIFETIME = timedelta(days=14)
"""After this time a message counts as expired: Azure's defaults are 7 (Storage Queue) and 14 days (Service Bus)."""


def is_settled(observed: Observed) -> bool:
    """Whether no message can come back for this TrainingJob."""
    trainingjob = observed.trainingjob
    if c.ANNOTATION_MESSAGE_ID not in trainingjob.metadata.annotations:
        return True
    return observed.message_settled or _is_recorded(trainingjob)


def unrecorded_settlement(observed: Observed) -> tuple[ConditionUpdate, ...]:
    """The condition MessageSettled, if the message was removed and the status does not show it yet."""
    trainingjob = observed.trainingjob
    if not observed.message_settled or _is_recorded(trainingjob):
        return ()
    queue = trainingjob.metadata.annotations.get(c.ANNOTATION_QUEUE, "its queue")
    return (ConditionUpdate(c.MESSAGE_SETTLED, "True", c.REMOVED_FROM_QUEUE, f"The message was removed from {queue}."),)


def remaining(observed: Observed, now: datetime) -> timedelta | None:
    """Time until a finished TrainingJob is deleted, zero or negative if it is due; None if it has no TTL."""
    trainingjob = observed.trainingjob
    seconds = trainingjob.spec.ttl_seconds_after_finished
    if seconds is None:
        return None
    until_ttl = parse_timestamp(trainingjob.status.completion_time, now) + timedelta(seconds=seconds) - now
    if is_settled(observed):
        return until_ttl
    created = parse_timestamp(trainingjob.metadata.creation_timestamp, now)
    return max(until_ttl, created + MESSAGE_LIFETIME - now)


def _is_recorded(trainingjob: TrainingJob) -> bool:
    settled = trainingjob.condition(c.MESSAGE_SETTLED)
    return settled is not None and settled.status == "True"
