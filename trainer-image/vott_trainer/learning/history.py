"""What a training has brought so far: running means of an epoch, a row for each epoch. Plain values only, for checkpoints hold them."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Means:
    """Running means of one epoch, over the images of this process; time in seconds."""

    images: int = 0
    loss_sum: float = 0.0
    classification_sum: float = 0.0
    seconds: float = 0.0

    def add(self, loss: float, classification: float, images: int) -> None:
        """Count one step in."""
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
    def rate(self) -> float:
        """Images a second of this process."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass
class History:
    """A row for each epoch, the metrics measured last, the best ones' first metric, and what took how many seconds."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int = 0
    without_improvement: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def spent(self, phase: str, seconds: float) -> None:
        """Add to the time of a phase."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def measured(self, metrics: dict[str, float], epoch: int) -> bool:
        """Take the metrics of an evaluation; return whether the first of them is better than ever."""
        self.metrics = dict(metrics)
        first = next(iter(metrics.values()), 0.0)
        better = self.best is None or first > self.best
        if better:
            self.best, self.best_epoch, self.without_improvement = first, epoch, 0
        else:
            self.without_improvement += 1
        return better
