"""TrainingJobs that a backup tool restored, which keeps annotations but not the status. Pure.

One that had ended must not train again: that would replace its model.
"""

from datetime import datetime
from typing import Any
from zlib import crc32

from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.ended import Ended
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions import ttl
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult
from vott_operator.decisions.status_patch import status_patch

RECORD_SECONDS = 3600
"""In which the ends are recorded that should have been before: after the upgrade to this version, tens of thousands."""
TURN_SECONDS = 60


def unrecorded_end(observed: Observed, now: datetime) -> Ended | None:
    """The end of a finished TrainingJob that its annotation does not have yet."""
    trainingjob = observed.trainingjob
    if Ended.of(trainingjob) is not None:
        return None
    return Ended(
        name=trainingjob.metadata.name,
        uid=trainingjob.metadata.uid,
        phase=c.FAILED if trainingjob.failed else c.COMPLETE,
        reason=trainingjob.status.reason or "",
        time=parse_timestamp(trainingjob.status.completion_time, now),
        message_settled=ttl.is_settled(observed),
    )


def record_delay(trainingjob: TrainingJob, now: datetime) -> float:
    """Seconds until the end is to be recorded. One of long ago has its turn of a minute in each hour, so that not all are written at once."""
    if (now - parse_timestamp(trainingjob.status.completion_time, now)).total_seconds() <= RECORD_SECONDS:
        return 0.0
    turn = crc32(trainingjob.metadata.uid.encode()) % RECORD_SECONDS
    since_turn = (now.timestamp() - turn) % RECORD_SECONDS
    return 0.0 if since_turn < TURN_SECONDS else RECORD_SECONDS - since_turn


def restored_status(trainingjob: TrainingJob, now: datetime) -> dict[str, Any] | None:
    """The status of an unfinished TrainingJob that had ended before it was restored; None for all others."""
    ended = Ended.of(trainingjob)
    if ended is None or ended.uid == trainingjob.metadata.uid:
        return None
    conditions = [ConditionUpdate(ended.phase, "True", c.RESTORED, _message(ended))]
    if ended.message_settled and c.ANNOTATION_MESSAGE_ID in trainingjob.metadata.annotations:
        text = "The message was removed from its queue before the backup."
        conditions.append(ConditionUpdate(c.MESSAGE_SETTLED, "True", c.REMOVED_FROM_QUEUE, text))
    result = PhaseResult(ended.phase, c.RESTORED, tuple(conditions))
    status = status_patch(Observed(trainingjob), result, now) or {}
    return status | {"completionTime": timestamp(ended.time)}


def is_restored(trainingjob: TrainingJob) -> bool:
    """Whether it ended before it was restored: its callback has had the outcome."""
    return trainingjob.finished and trainingjob.status.reason == c.RESTORED


def _message(ended: Ended) -> str:
    reason = f", {ended.reason}" if ended.reason else ""
    return (
        f"Restored from a backup. It had ended at {timestamp(ended.time)} ({ended.phase}{reason}), so it is not trained again. "
        f"To train again, delete it and create it without the annotation {c.ANNOTATION_ENDED}."
    )
