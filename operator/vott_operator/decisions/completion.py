"""Phase of a training whose trainer succeeded: Complete, once the trainer has reported the model. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import ConditionUpdate, Explanation
from vott_operator.api.status import Metric, ModelArtifact
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.phase_result import PhaseResult, failed

MODEL_REPORT_GRACE = timedelta(seconds=60)
"""How long after the pod succeeded its last status report may still arrive."""


def complete(trainingjob: TrainingJob, succeeded_at: str | None, now: datetime) -> PhaseResult | None:
    """Complete; Failed if the model was never reported; None while the report may still arrive."""
    model = trainingjob.status.model
    if model is None:
        if now - parse_timestamp(succeeded_at, now) < MODEL_REPORT_GRACE:
            return None
        return failed(_missing_model())
    message = _describe(model, trainingjob.status.metrics or ())
    return PhaseResult(
        c.COMPLETE,
        c.TRAINING_SUCCEEDED,
        (
            ConditionUpdate(c.COMPLETE, "True", c.TRAINING_SUCCEEDED, message),
            ConditionUpdate(c.MODEL_UPLOADED, "True", c.UPLOAD_VERIFIED, f"sha256 {model.sha256}"),
            ConditionUpdate(c.RUNNING, "False", c.TRAINER_FINISHED, "The training ended."),
        ),
    )


def _missing_model() -> Explanation:
    """The trainer succeeded and reported no model."""
    return Explanation(
        c.MODEL_NOT_REPORTED,
        "The trainer exited with 0 but reported no verified model in status.model. "
        "A custom trainer image must report it before it exits (docs/trainer-contract.md).",
    )


def _describe(model: ModelArtifact, metrics: Iterable[Metric]) -> str:
    """Message of the condition Complete: the model's URL and size, and its metrics."""
    values = ", ".join(f"{metric.name} {metric.value:.4g}" for metric in metrics)
    return f"The model is at {model.url} ({model.size_bytes:,} bytes){f'; {values}' if values else ''}."
