"""What a training came to, as everything that tells of it needs it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vott_trainer.annotations.findings import Finding
from vott_trainer.plugin_api import Evaluation


@dataclass(frozen=True)
class Result:
    """One finished training. Only `plugin` and `metrics` are a must.

    Attributes:
        parameters: as the message set them, the plugin's defaults filled in.
        settings: what was chosen where they left a choice.
        device: what it ran on, in words.
        counts: `trainingImages`, `heldOutImages`, `boxes` by label, or whatever the plugin counts.
        history: a row for each epoch: `epoch`, `loss`, `learningRate`, …, and metrics where they were measured.
        seconds: how long each phase took, in order.
        notes: sentences on what was out of the ordinary, such as an interruption.
        details: whatever else belongs into metrics.json, any JSON.
    """

    plugin: str
    metrics: dict[str, float]
    parameters: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    labels: list[str] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    evaluation: Evaluation | None = None
    findings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    trainer_version: str = ""
    trainingjob: str | None = None
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))
