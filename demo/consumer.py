"""Who trains the demo's message: the operator of a cluster (`cluster.py`), or the daemon on this machine (`daemon.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from demo.progress import Step


@dataclass(frozen=True)
class Training:
    """What is known about the training of a message."""

    name: str
    step: Step
    failure: str = ""
    """Why it failed: reason and message."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """`url` and `sha256`, as in a TrainingJob's `status.model`; empty before the upload is verified."""
    callback: str = ""
    """What is known about the delivery of the outcome callback."""


class Consumer(Protocol):
    """Takes messages from the demo's queue and trains them. The methods may raise ObservationError."""

    def training(self, message_id: str) -> Training | None:
        """The training of a message; None before it has begun."""

    def cancel(self, message_id: str) -> None:
        """Stop the training of a message, if it has begun."""

    def summary(self) -> str:
        """What a user sees of finished trainings."""

    def logs(self, name: str) -> str:
        """The last log lines of a training; empty if there are none."""

    def advice(self) -> str:
        """Where to look if a training takes longer than expected, and what becomes of it when the demo ends."""
