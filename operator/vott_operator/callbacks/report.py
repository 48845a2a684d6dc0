"""The trainer's last report, from the status that it patches."""

from dataclasses import fields

from vott_messaging.callbacks.payload import ProgressReport
from vott_operator.api.status import Progress

_FIELDS = {field.name for field in fields(ProgressReport)}


def progress_report(progress: Progress) -> ProgressReport:
    """What a callback says of it."""
    return ProgressReport(**progress.model_dump(include=_FIELDS))
