"""How long the outcome callback is retried, and how long it may delay a deletion. Pure."""

from datetime import datetime, timedelta

from vott_messaging.settings.callbacks import CallbackSettings
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob

MAX_DELETION_DELAY = timedelta(minutes=10)
"""How long a deleted TrainingJob waits for its Job and pods to end, and for its callback."""


def is_overdue(trainingjob: TrainingJob, now: datetime) -> bool:
    """Whether a deleted TrainingJob has waited long enough."""
    deleted = parse_timestamp(trainingjob.metadata.deletion_timestamp, now)
    return trainingjob.deleting and now - deleted > MAX_DELETION_DELAY


def callback_deadline(trainingjob: TrainingJob, settings: CallbackSettings, now: datetime) -> datetime:
    """When to give up the outcome callback of a finished TrainingJob."""
    status, metadata = trainingjob.status, trainingjob.metadata
    deadline = parse_timestamp(status.completion_time, now) + timedelta(seconds=settings.give_up_after_seconds)
    if trainingjob.deleting:
        deadline = min(deadline, parse_timestamp(metadata.deletion_timestamp, now) + MAX_DELETION_DELAY)
    return deadline
