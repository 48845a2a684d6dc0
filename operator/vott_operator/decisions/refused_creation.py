"""The plan after the API server refused to create a TrainingJob's Service or Job. Pure."""

from datetime import datetime

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.conditions import Explanation
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.condition_messages import explain_name_taken, explain_refused_job
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase_result import PhaseResult, failed, pending
from vott_operator.decisions.plan import Plan
from vott_operator.decisions.status_patch import status_patch
from vott_operator.decisions.transition_events import transition_events
from vott_operator.errors import AlreadyExistsError, ClusterError, InvalidObjectError

FORBIDDEN = 403
FORBIDDEN_RETRY_SECONDS = 30.0


def plan_after_refusal(trainingjob: TrainingJob, error: ClusterError, now: datetime) -> Plan | None:
    """Report a refusal that an immediate retry can't change; None for other errors."""
    if isinstance(error, AlreadyExistsError):
        name = names.service(trainingjob.metadata.name)
        return _report(trainingjob, failed(explain_name_taken(c.SERVICE_NAME_TAKEN, "Service", name)), now)
    if isinstance(error, InvalidObjectError):
        text = f"The API server refused the Job: {error.answer}"
        return _report(trainingjob, failed(Explanation(c.INVALID_SPEC, text)), now)
    if error.status == FORBIDDEN:
        return _report(trainingjob, pending(explain_refused_job(error.answer)), now, FORBIDDEN_RETRY_SECONDS)
    return None


def _report(trainingjob: TrainingJob, result: PhaseResult, now: datetime, requeue_seconds: float | None = None) -> Plan:
    observed = Observed(trainingjob)
    status = status_patch(observed, result, now)
    return Plan(status=status, events=transition_events(observed, result), requeue_seconds=requeue_seconds)
