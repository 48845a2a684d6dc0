"""A model measured on held-out images: metrics, curves, confusion matrix and examples."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from vott_trainer.annotations.model import Box

BACKGROUND = "background"  # a detector's last label in the confusion matrix: no object


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted object, or the predicted class of the whole image (`box` is None); `score` is 0 to 1."""

    label: str
    score: float
    box: Box | None = None


class Point(NamedTuple):
    """A point of a precision-recall curve, at the lowest score that counts."""

    recall: float
    precision: float
    score: float


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """Predictions with similar scores: their mean score, the share of correct ones, and their number."""

    score: float
    correct: float
    count: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix: `counts[row][column]` is how often `labels[row]` was predicted as `labels[column]`.

    A detector's matrix is `with_background`: its last label means no object. `repeated` counts, for each other label, the duplicate
    predictions: those of an object that another prediction has found. They are not in `counts`.
    """

    labels: list[str]
    counts: list[list[int]]
    with_background: bool = False
    repeated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """A held-out image with its ground truth and its predictions. Boxes are in pixels, EXIF rotation applied.

    Attributes:
        wrong: incorrect predictions.
        missed: ground truth that no prediction found.
        duplicates: predictions of an object that another prediction has found.
    """

    image: Path
    name: str
    truth: list[Prediction]
    predictions: list[Prediction]
    wrong: list[Prediction] = field(default_factory=list)
    missed: list[Prediction] = field(default_factory=list)
    duplicates: list[Prediction] = field(default_factory=list)

    @property
    def is_correct(self) -> bool:
        """Whether every object was found once, and nothing else was predicted."""
        return not (self.wrong or self.missed or self.duplicates)

    @property
    def severity(self) -> float:
        """How wrong the model is: confident mistakes weigh more, duplicates nothing."""
        return len(self.missed) + sum(prediction.score for prediction in self.wrong)


class Interval(NamedTuple):
    """Where a metric lies with 95 % confidence, measured on other images of the same kind."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Confidence intervals of an evaluation's metrics, by name, and of those of its classes, by label and name."""

    metrics: dict[str, Interval] = field(default_factory=dict)
    per_class: dict[str, dict[str, Interval]] = field(default_factory=dict)


class Found(NamedTuple):
    """How many of a number of objects were found."""

    found: int
    total: int


class SmallObjects(NamedTuple):
    """Objects with a side below `pixels` in the images that the network gets, and the others."""

    pixels: int
    small: Found
    larger: Found


@dataclass(frozen=True)
class FoldMetrics:
    """What one training of a cross-validation measured: the number of its held-out items, and its metrics on them."""

    items: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Measurements of a model. Only `metrics` is required; the first is the most important one, and higher is better.

    Attributes:
        selection: the metric that decides which model is better; the first by default.
        per_class: metrics by label and name.
        curves: precision-recall curves by label.
        examples: a few images, the worst mistakes first, then the correct ones with the most objects.
        thresholds: the score from which predictions are shown, by label; `confusion` and `examples` have no others. Goes into
            `config.json`, for `predict`, and into `model.onnx`.
        reliability: how often the shown predictions are correct, by rising score.
        small_objects: how well a detector finds them, for advice.
        intervals: of the metrics.
        folds: those of a cross-validation; everything else is measured on the held-out items of all of them together.
        compute_intervals: computes them; called for the finished model only, because it takes a while.
    """

    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    confusion: Confusion | None = None
    examples: list[Example] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    reliability: list[ReliabilityPoint] = field(default_factory=list)
    selection: str = ""
    small_objects: SmallObjects | None = None
    intervals: Intervals = field(default_factory=Intervals)
    folds: list[FoldMetrics] = field(default_factory=list)
    compute_intervals: Callable[[], Intervals] | None = field(default=None, repr=False, compare=False)

    @property
    def selected(self) -> str:
        """The name of the metric that decides which model is better."""
        return self.selection or next(iter(self.metrics), "")

    def with_intervals(self) -> "Evaluation":
        """Return the evaluation with its intervals computed."""
        if not self.compute_intervals:
            return self
        return replace(self, intervals=self.compute_intervals(), compute_intervals=None)


EXAMPLES = 6  # wrong ones, and as many correct ones


def choose_examples(examples: list[Example], count: int = EXAMPLES) -> list[Example]:
    """Choose the `count` worst and `count` correct examples; deterministic for the same model."""
    wrong = sorted((e for e in examples if not e.is_correct), key=lambda e: (-e.severity, e.name))
    correct = sorted((e for e in examples if e.is_correct), key=lambda e: (-len(e.truth), e.name))
    return wrong[:count] + correct[:count]
