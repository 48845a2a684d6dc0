"""Match predictions to ground truth objects: correct, wrong, missed and duplicate."""

from collections.abc import Sequence
from pathlib import Path

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Example, Prediction
from vott_trainer.plugin_api.thresholds import MIN_IOU, MIN_IOU_OF_DUPLICATE
from vott_trainer.vision import shapes

Pair = tuple[Prediction | None, Prediction | None]  # a ground truth object and its prediction


def iou(first: Box, second: Box) -> float:
    """Return intersection over union, 0 to 1: of the areas inside the outlines if there are any, else of the boxes."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    intersection = max(0.0, width) * max(0.0, height)
    if intersection and (first.outline or second.outline):
        return shapes.iou(shapes.Shape.of(first), shapes.Shape.of(second))
    union = first.width * first.height + second.width * second.height - intersection
    return intersection / union if union > 0 else 0.0


def match(truth: Sequence[Prediction], predictions: Sequence[Prediction]) -> list[Pair]:
    """Match each object with at most one prediction, highest score first; None for an object or a prediction without a match.

    A prediction takes an object with an IoU of at least MIN_IOU: one of its own class before others, then the one with the highest IoU.
    """
    pairs: list[Pair] = []
    unmatched = list(truth)
    for prediction in sorted(predictions, key=lambda prediction: -prediction.score):
        partner = _partner(prediction, unmatched)
        if partner:
            unmatched.remove(partner)
        pairs.append((partner, prediction))
    return pairs + [(missed, None) for missed in unmatched]


def _partner(prediction: Prediction, unmatched: Sequence[Prediction]) -> Prediction | None:
    ranked = [(truth.label == prediction.label, _overlap(truth, prediction), truth) for truth in unmatched]
    near = [entry for entry in ranked if entry[1] >= MIN_IOU]
    return max(near, key=lambda entry: entry[:2])[2] if near else None


def _overlap(first: Prediction, second: Prediction) -> float:
    if first.box and second.box:
        return iou(first.box, second.box)
    return float(first.box is second.box)  # two classes of the whole image


def marked_object(prediction: Prediction, truth: Sequence[Prediction]) -> Prediction | None:
    """Return the object of its class that an unmatched prediction lies on: it overlaps, or has its centre inside."""
    near = [one for one in truth if one.label == prediction.label and _lies_on(prediction, one)]
    return max(near, key=lambda one: _overlap(one, prediction), default=None)


def _lies_on(prediction: Prediction, truth: Prediction) -> bool:
    if not prediction.box or not truth.box:
        return False
    box, target = prediction.box, truth.box
    x, y = box.x + box.width / 2 - target.x, box.y + box.height / 2 - target.y
    inside = 0 <= x <= target.width and 0 <= y <= target.height
    return inside or iou(box, target) >= MIN_IOU_OF_DUPLICATE


def duplicates(pairs: Sequence[Pair]) -> list[Prediction]:
    """Return the duplicates: unmatched predictions on an object that another prediction of its class has matched."""
    correct = [truth for truth, predicted in pairs if truth and predicted and truth.label == predicted.label]
    return [predicted for truth, predicted in pairs if predicted and not truth and marked_object(predicted, correct)]


def example(image: Path, name: str, truth: list[Prediction], predictions: list[Prediction]) -> Example:
    """Make an example, with its wrong and duplicate predictions and its missed objects."""
    pairs = match(truth, predictions)
    extra = duplicates(pairs)
    wrong = [
        predicted
        for one, predicted in pairs
        if predicted and (one.label != predicted.label if one else predicted not in extra)
    ]
    missed = [one for one, predicted in pairs if one and (not predicted or one.label != predicted.label)]
    return Example(image, name, truth, predictions, wrong, missed, extra)
