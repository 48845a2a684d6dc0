"""Match predictions to ground truth objects: correct, wrong, missed and duplicate."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Example, Prediction
from vott_trainer.plugin_api.thresholds import MIN_IOU, MIN_IOU_OF_DUPLICATE
from vott_trainer.vision import shapes

Pair = tuple[Prediction | None, Prediction | None]  # a ground truth object and its prediction
Floats = NDArray[np.float64]


def iou(first: Box, second: Box) -> float:
    """Return intersection over union, 0 to 1: of the areas inside the outlines if there are any, else of the boxes."""
    return float(_Boxes([first]).ious(second)[0])


def match(truth: Sequence[Prediction], predictions: Sequence[Prediction]) -> list[Pair]:
    """Match each object with at most one prediction, highest score first; None for an object or a prediction without a match.

    A prediction takes an object with an IoU of at least MIN_IOU: one of its own class before others, then the one with the highest IoU.
    """
    pairs: list[Pair] = []
    boxes, is_free = _Boxes([one.box for one in truth]), np.ones(len(truth), np.bool_)
    for prediction in sorted(predictions, key=lambda prediction: -prediction.score):
        ious = boxes.overlaps(prediction.box)
        near = np.flatnonzero(is_free & (ious >= MIN_IOU)).tolist()
        chosen = max(near, key=lambda number: (truth[number].label == prediction.label, ious[number]), default=None)
        if chosen is not None:
            is_free[chosen] = False
        pairs.append((None if chosen is None else truth[chosen], prediction))
    return pairs + [(truth[number], None) for number in np.flatnonzero(is_free).tolist()]


def marking(predictions: Sequence[Prediction], objects: Sequence[Prediction]) -> Iterator[Prediction]:
    """Yield the predictions that lie on an object of their class: they overlap it, or have their centre inside."""
    by_label: defaultdict[str, list[Box | None]] = defaultdict(list)
    for one in objects:
        by_label[one.label].append(one.box)
    boxes = {label: _Boxes(of_label) for label, of_label in by_label.items()}
    yield from (one for one in predictions if one.box and one.label in boxes and boxes[one.label].has_below(one.box))


def duplicates(pairs: Sequence[Pair]) -> list[Prediction]:
    """Return the duplicates: unmatched predictions on an object that another prediction of its class has matched."""
    correct = [truth for truth, predicted in pairs if truth and predicted and truth.label == predicted.label]
    return list(marking([predicted for truth, predicted in pairs if predicted and not truth], correct))


def example(image: Path, name: str, truth: list[Prediction], predictions: list[Prediction]) -> Example:
    """Make an example, with its wrong and duplicate predictions and its missed objects."""
    pairs = match(truth, predictions)
    extra = duplicates(pairs)
    are_extra = set(extra)
    wrong = [
        predicted
        for one, predicted in pairs
        if predicted and (one.label != predicted.label if one else predicted not in are_extra)
    ]
    missed = [one for one, predicted in pairs if one and (not predicted or one.label != predicted.label)]
    return Example(image, name, truth, predictions, wrong, missed, extra)


class _Boxes:
    """The boxes of objects, each compared with all of them at once: an image may have thousands. None is a class of the whole image."""

    def __init__(self, boxes: Sequence[Box | None]) -> None:
        nowhere = (np.nan,) * 4
        bounds = [(box.x, box.y, box.width, box.height) if box else nowhere for box in boxes]
        self._boxes, (self._x, self._y, self._width, self._height) = boxes, np.reshape(bounds, (-1, 4)).T

    def overlaps(self, other: Box | None) -> Floats:
        """Return the IoU of each with another; a class of the whole image overlaps with a class of the whole image."""
        return self.ious(other) if other else np.array([float(box is None) for box in self._boxes], np.float64)

    def ious(self, other: Box) -> Floats:
        """Return the IoU of each with another."""
        width = np.minimum(self._x + self._width, other.x + other.width) - np.maximum(self._x, other.x)
        height = np.minimum(self._y + self._height, other.y + other.height) - np.maximum(self._y, other.y)
        shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        union = self._width * self._height + other.width * other.height - shared
        ious: Floats = np.divide(shared, union, out=np.zeros(len(union)), where=union > 0)
        for number in np.flatnonzero(shared > 0).tolist():
            box = self._boxes[number]
            if box and (box.outline or other.outline):
                ious[number] = shapes.iou(shapes.Shape.of(box), shapes.Shape.of(other))
        return ious

    def has_below(self, other: Box) -> bool:
        """Whether another lies on one of them."""
        x, y = other.x + other.width / 2 - self._x, other.y + other.height / 2 - self._y
        is_inside = (x >= 0) & (x <= self._width) & (y >= 0) & (y <= self._height)
        return bool(is_inside.any() or (self.ious(other) >= MIN_IOU_OF_DUPLICATE).any())
