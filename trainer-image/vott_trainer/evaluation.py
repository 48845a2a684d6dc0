"""What a model can do, measured on held-out images: figures for machines, curves and examples for people."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vott_trainer.annotations import Box


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
    """How often the truth `labels[row]` was seen as `labels[column]`. A detector's last label stands for nothing there."""

    labels: list[str]
    counts: list[list[int]]


@dataclass(frozen=True, slots=True)
class Example:
    """One held-out image: what is on it, what the model sees, and whether that is right; `note` says in a few words what is not."""

    image: Path
    name: str
    truth: list[Prediction]
    predictions: list[Prediction]
    right: bool
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Only `metrics` is a must: the first one decides which model is better, and more is better.

    `per_class` holds figures by label and name, `curves` precision-recall curves by label.
    """

    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    confusion: Confusion | None = None
    examples: list[Example] = field(default_factory=list)
