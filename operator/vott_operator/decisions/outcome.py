"""The outcome: the last post to the callback URL, once the training has ended. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from vott_messaging.settings.callbacks import CallbackSettings
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.callback_deadline import callback_deadline
from vott_operator.decisions.restored import is_restored
from vott_operator.decisions.status_patch import outcome_message

OutcomeState = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome to post. `overdue`: its time has run out. `give_up`: this attempt is the last, because there was one before."""

    state: OutcomeState
    message: str
    overdue: bool = False
    give_up: bool = False


def has_pending_callback(trainingjob: TrainingJob) -> bool:
    """Whether there is a callback that was neither delivered nor refused nor given up."""
    if trainingjob.spec.callback is None or is_restored(trainingjob):
        return False
    delivery = trainingjob.condition(c.CALLBACK_DELIVERED)
    return delivery is None or not (
        delivery.status == "True" or delivery.reason in (c.DELIVERY_REFUSED, c.DELIVERY_GIVEN_UP)
    )


def pending_outcome(trainingjob: TrainingJob, settings: CallbackSettings, now: datetime) -> Outcome | None:
    """The outcome to post; None if there is no callback, or it was delivered, refused or given up."""
    if not has_pending_callback(trainingjob):
        return None
    delivery = trainingjob.condition(c.CALLBACK_DELIVERED)
    overdue = now > callback_deadline(trainingjob, settings, now)
    # The first attempt is always made.
    give_up = overdue and delivery is not None
    return Outcome(_state(trainingjob), outcome_message(trainingjob), overdue, give_up)


def _state(trainingjob: TrainingJob) -> OutcomeState:
    failed = trainingjob.condition(c.FAILED)
    if failed is None or failed.status != "True":
        return "succeeded"
    return "cancelled" if failed.reason == c.CANCELLED else "failed"
