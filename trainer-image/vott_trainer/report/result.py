"""Everything the report says about one training."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vott_trainer.annotations.findings import Finding
from vott_trainer.plugin_api import Evaluation


@dataclass(frozen=True)
class Result:
    """A finished training. Only `plugin` and `metrics` are required.

    Attributes:
        parameters: the message's parameters, with the plugin's defaults.
        settings: what the plugin chose where the parameters left a choice.
        device: the device it ran on, as text.
        counts: `trainingImages`, `heldOutImages`, `boxes` by label, or whatever else the plugin counts.
        history: a row per epoch: `epoch`, `loss`, `learningRate`, …, and metrics where they were measured.
        seconds: the duration of each phase, in order.
        notes: sentences on anything unusual, such as an interruption.
        details: other entries of metrics.json, any JSON.
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
