"""The settings that a training's pods are made from."""

from dataclasses import dataclass, field

from vott_guard.rules import Rules
from vott_operator.settings.trainer import TrainerSettings


@dataclass(frozen=True, slots=True)
class PodSettings:
    """The settings that a training's pods are made from."""

    trainer: TrainerSettings
    rules: Rules = field(default_factory=Rules)
    """Addresses that the trainer may connect to with URLs from messages."""
    signed_callbacks: bool = False
    """If True, the operator sends every callback and the pods do not get its URL."""
    log_format: str = "console"
    """That of the operator, `console` or `json`."""
