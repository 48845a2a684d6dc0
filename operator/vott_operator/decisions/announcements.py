"""What is told of a change: the Events, and the last word to the callback. Pure."""

from datetime import datetime, timedelta

from vott_operator.api import constants as c
from vott_operator.api.conditions import Finding
from vott_operator.api.times import moment
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.notes import CallbackNote, EventNote, Outcome
from vott_operator.decisions.observed import Observed
from vott_operator.decisions.phase import Verdict
from vott_operator.decisions.status_patch import sentence
from vott_operator.settings.outgoing import CallbackSettings

NO_WARNING = (c.RESUMED, c.WAITING_FOR_PODS, c.POD_STARTING, c.CANCELLED)
DELETED_PATIENCE = timedelta(minutes=10)
"""How long a TrainingJob that somebody deleted stays for the sake of its callback."""


def events(observed: Observed, verdict: Verdict | None, more: tuple[Finding, ...] = ()) -> tuple[EventNote, ...]:
    """An Event for each transition that is not the usual course: of that the status tells, and each Event is one write more."""
    if verdict is None:
        return ()
    notes = [_stalled(observed, finding) for finding in more]
    status = observed.trainingjob.status
    usual = verdict.phase == c.COMPLETE or (verdict.phase == c.RUNNING and not status.reason)
    if verdict.findings and status.reason != verdict.reason and not usual:
        first = verdict.findings[0]
        warning = verdict.phase in (c.PENDING, c.FAILED) and first.reason not in NO_WARNING
        notes.append(EventNote("Warning" if warning else "Normal", first.reason, first.message))
    return tuple(note for note in notes if note is not None)


def _stalled(observed: Observed, finding: Finding) -> EventNote | None:
    was = observed.trainingjob.condition(finding.type)
    news = (was is None or was.status != finding.status) and finding.reason in (c.NO_PROGRESS, c.PROGRESS_RESUMED)
    warning = finding.status == "True"
    return EventNote("Warning" if warning else "Normal", finding.reason, finding.message) if news else None


def last_word(trainingjob: TrainingJob, settings: CallbackSettings, now: datetime) -> CallbackNote | None:
    """What the callback is still to be told of an ended training; None when it was told, or never will be."""
    if trainingjob.spec.callback is None:
        return None
    told = trainingjob.condition(c.CALLBACK_DELIVERED)
    if told is not None and (told.status == "True" or told.reason in (c.DELIVERY_REFUSED, c.DELIVERY_GIVEN_UP)):
        return None
    until = moment(trainingjob.status.completion_time, now) + timedelta(seconds=settings.give_up_after_seconds)
    if trainingjob.deleting:
        until = min(until, moment(trainingjob.metadata.deletion_timestamp, now) + DELETED_PATIENCE)
    return CallbackNote(_outcome(trainingjob), sentence(trainingjob), give_up=told is not None and now > until)


def _outcome(trainingjob: TrainingJob) -> Outcome:
    ended = trainingjob.condition(c.FAILED)
    if ended is None or ended.status != "True":
        return "succeeded"
    return "cancelled" if ended.reason == c.CANCELLED else "failed"
