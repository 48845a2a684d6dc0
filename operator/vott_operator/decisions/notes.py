"""What is told to people: Events and the last word. Pure."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["succeeded", "failed", "cancelled"]
State = Literal["running", "succeeded", "failed", "cancelled"]
"""What a callback is told of a training."""


@dataclass(frozen=True, slots=True)
class EventNote:
    """A Kubernetes Event about the TrainingJob."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class CallbackNote:
    """The last word to the callback URL. `give_up` says that the time for it has run out."""

    state: Outcome
    message: str
    give_up: bool = False
