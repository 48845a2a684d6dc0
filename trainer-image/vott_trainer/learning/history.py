"""Metrics of a training so far: running means of an epoch, and a row for each epoch. Plain values only, for checkpoints."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class RunningMeans:
    """Running means of one epoch over the images of this process; time in seconds."""

    images: int = 0
    loss_sum: float = 0.0
    classification_sum: float = 0.0
    seconds: float = 0.0

    def add(self, loss: float, classification: float, images: int) -> None:
        """Add a step."""
        self.images += images
        self.loss_sum += loss * images
        self.classification_sum += classification * images

    @property
    def loss(self) -> float:
        """Mean loss of an image."""
        return self.loss_sum / max(1, self.images)

    @property
    def classification(self) -> float:
        """Mean classification loss of an image."""
        return self.classification_sum / max(1, self.images)

    @property
    def images_per_second(self) -> float:
        """Images per second of this process."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass
class History:
    """All epochs of a training, across interruptions.

    Attributes:
        epochs: a row for each completed epoch.
        metrics: those of the latest evaluation.
        best: the best value of the metric that decides which model is better.
        best_epoch: its epoch.
        without_improvement: evaluations since then.
        notes: sentences for the report.
        seconds: time of each phase.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int = 0
    without_improvement: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def add_seconds(self, phase: str, seconds: float) -> None:
        """Add to the time of a phase."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def add_evaluation(self, metrics: dict[str, float], epoch: int, selection: str) -> bool:
        """Record an evaluation; return whether its metric `selection` is the best so far.

        As long as it is 0, because nothing is right yet, the later model is the better one: it is on its way.
        """
        self.metrics = dict(metrics)
        value = metrics.get(selection, 0.0)
        is_best = self.best is None or value > self.best or self.best == 0 == value
        if is_best:
            self.best, self.best_epoch, self.without_improvement = value, epoch, 0
        else:
            self.without_improvement += 1
        return is_best


@dataclass(frozen=True)
class FinishedFold:
    """A finished fold of a cross-validation.

    Attributes:
        outputs: of the plugin for the held-out items, as JSON; on rank 0 only.
        notes: sentences for the report.
        seconds: time of each phase.
    """

    outputs: str
    notes: list[str]
    seconds: dict[str, float]
