"""How often trainers report: less often while many trainings run, so that their reports never overload the API server. Pure."""

from math import ceil

from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

MIN_SECONDS, MAX_SECONDS = 2, 60
REPORTS_PER_SECOND = 100
"""Of all trainings together: half of the writes that VoTT Train may cause (docs/adr/0034)."""
TOLERANCE = 1.5
"""An interval that is off by at most this factor stays, because a new one costs a write for each training."""


def report_interval(observed: Observed) -> int | None:
    """The interval that a running training should have; None for the default, MIN_SECONDS."""
    current = observed.trainingjob.status.report_interval_seconds
    wanted = min(max(ceil(observed.running / REPORTS_PER_SECOND), MIN_SECONDS), MAX_SECONDS)
    factor = wanted / (current or MIN_SECONDS)
    is_close = 1 / TOLERANCE <= factor <= TOLERANCE
    is_uncertain = factor < 1 and not observed.counts_all
    return current if is_close or is_uncertain else wanted


def has_other_interval(observed: Observed) -> bool:
    """Whether the trainer should report more or less often than it does."""
    status = observed.trainingjob.status
    return status.phase == c.RUNNING and report_interval(observed) != status.report_interval_seconds
