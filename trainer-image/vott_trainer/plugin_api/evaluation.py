"""What a model can do, measured on held-out images: figures for machines, curves and examples for people."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vott_trainer.annotations import Box

LOWEST_SCORE_SHOWN = 0.5  # predictions below it are for curves only
BACKGROUND = "background"  # a detector's confusion matrix: nothing is there


@dataclass(frozen=True, slots=True)
class Prediction:
    """One object that a model sees, or the class of a whole image (`box` is None); `score` is 0 to 1."""

    label: str
    score: float
    box: Box | None = None


class Point(NamedTuple):
    """One point of a precision-recall curve, at the score from which on predictions count."""

    recall: float
    precision: float
    score: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often the truth `labels[row]` was seen as `labels[column]`.

    A detector's matrix is `with_background`: its last label stands for nothing there. `repeated` holds for each other label how many
    predictions marked an object that another one had found; they are not in `counts`.
    """

    labels: list[str]
    counts: list[list[int]]
    with_background: bool = False
    repeated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """One held-out image: what is on it and what the model sees.

    `wrong` are those of `predictions` that are not so, `repeated` those that mark an object which another one has found, `missed` those
    of `truth` that no prediction tells; boxes are in pixels of the image file as a browser shows it.
    """

    image: Path
    name: str
    truth: list[Prediction]
    predictions: list[Prediction]
    wrong: list[Prediction] = field(default_factory=list)
    missed: list[Prediction] = field(default_factory=list)
    repeated: list[Prediction] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether the model sees all that is there, once, and nothing else."""
        return not (self.wrong or self.missed or self.repeated)

    @property
    def severity(self) -> float:
        """How wrong the model is: sure mistakes count more than doubtful ones, what is only repeated not at all."""
        return len(self.missed) + sum(prediction.score for prediction in self.wrong)


@dataclass(frozen=True)
class Evaluation:
    """Only `metrics` is a must: the first one decides which model is better, and more is better.

    `per_class` holds figures by label and name, `curves` precision-recall curves by label. `examples` are a few: the worst first, then
    the right ones with most to see.
    """

    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    confusion: Confusion | None = None
    examples: list[Example] = field(default_factory=list)


EXAMPLES = 6  # of each kind


def choose_examples(examples: list[Example], count: int = EXAMPLES) -> list[Example]:
    """Return `count` of the worst and `count` of the right examples; the same ones for the same model."""
    wrong = sorted((e for e in examples if not e.right), key=lambda e: (-e.severity, e.name))
    right = sorted((e for e in examples if e.right), key=lambda e: (-len(e.truth), e.name))
    return wrong[:count] + right[:count]
