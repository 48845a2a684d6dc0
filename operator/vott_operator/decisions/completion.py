"""Phase of a training whose Job succeeded: Complete, once the trainer has reported the model. Pure."""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.explanations import describe_model, explain_missing_model
from vott_operator.decisions.observed import JobState
from vott_operator.decisions.phase_result import PhaseResult, failed

MODEL_REPORT_GRACE = timedelta(seconds=60)
"""How long after the pod succeeded its last status report may still arrive."""


def complete(trainingjob: TrainingJob, job: JobState, now: datetime) -> PhaseResult | None:
    """Complete; Failed if the model was never reported; None while the report may still arrive."""
    model = trainingjob.status.model
    if model is None:
        if now - parse_timestamp(job.finished_at, now) < MODEL_REPORT_GRACE:
            return None
        return failed(explain_missing_model())
    message = describe_model(model, trainingjob.status.metrics or ())
    return PhaseResult(
        c.COMPLETE,
        c.TRAINING_SUCCEEDED,
        (
            ConditionUpdate(c.COMPLETE, "True", c.TRAINING_SUCCEEDED, message),
            ConditionUpdate(c.MODEL_UPLOADED, "True", c.UPLOAD_VERIFIED, f"sha256 {model.sha256}"),
            ConditionUpdate(c.RUNNING, "False", c.TRAINER_FINISHED, "The training ended."),
        ),
    )
