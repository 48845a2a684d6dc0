"""Which prediction tells of which object: what people mean by right and wrong, at the score from which predictions are shown."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Confusion, Example, Prediction
from vott_trainer.plugin_api.evaluation import BACKGROUND

LOWEST_IOU = 0.5
LOWEST_IOU_OF_THE_SAME = 0.3  # a box of the right class that overlaps an object this much means that object
Pair = tuple[Prediction | None, Prediction | None]  # an object and what was seen there


def iou(first: Box, second: Box) -> float:
    """Return intersection over union, 0 to 1."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    shared = max(0.0, width) * max(0.0, height)
    union = first.width * first.height + second.width * second.height - shared
    return shared / union if union > 0 else 0.0


def pairs(truth: Sequence[Prediction], seen: Sequence[Prediction]) -> list[Pair]:
    """Pair each object with at most one prediction, the surest first; None where one has no partner.

    A prediction takes an object that it overlaps with an IoU of 0.5 or more: one of its own class rather than another one, then the one
    that it overlaps most.
    """
    found: list[Pair] = []
    left = list(truth)
    for prediction in sorted(seen, key=lambda one: -one.score):
        partner = _partner(prediction, left)
        if partner:
            left.remove(partner)
        found.append((partner, prediction))
    return found + [(missed, None) for missed in left]


def _partner(prediction: Prediction, left: Sequence[Prediction]) -> Prediction | None:
    ranked = [(one.label == prediction.label, _overlap(one, prediction), one) for one in left]
    near = [entry for entry in ranked if entry[1] >= LOWEST_IOU]
    return max(near, key=lambda entry: entry[:2])[2] if near else None


def meant(prediction: Prediction, truth: Sequence[Prediction]) -> Prediction | None:
    """Return the object of its own class that a prediction without a partner lies on: it overlaps, or its centre lies inside."""
    near = [one for one in truth if one.label == prediction.label and _lies_on(prediction, one)]
    return max(near, key=lambda one: _overlap(one, prediction), default=None)


def _lies_on(prediction: Prediction, truth: Prediction) -> bool:
    if not prediction.box or not truth.box:
        return False
    box, there = prediction.box, truth.box
    x, y = box.x + box.width / 2 - there.x, box.y + box.height / 2 - there.y
    inside = 0 <= x <= there.width and 0 <= y <= there.height
    return inside or iou(box, there) >= LOWEST_IOU_OF_THE_SAME


def repeated(found: Sequence[Pair]) -> list[Prediction]:
    """Return the predictions without a partner that lie on an object of their class which another one has found."""
    right = [truth for truth, seen in found if truth and seen and truth.label == seen.label]
    return [seen for truth, seen in found if seen and not truth and meant(seen, right)]


def _overlap(first: Prediction, second: Prediction) -> float:
    if first.box and second.box:
        return iou(first.box, second.box)
    return float(first.box is second.box)  # two classes of the whole image


def confusion(labels: Sequence[str], examples: Sequence[Example]) -> Confusion:
    """Count what was seen as what over all examples, `background` last; repeated predictions apart."""
    names = [*labels, BACKGROUND]
    number = {label: index for index, label in enumerate(labels)}  # a class may be called background, too
    counts: NDArray[np.int64] = np.zeros((len(names), len(names)), np.int64)
    twice: Counter[str] = Counter()
    for example in examples:
        found = pairs(example.truth, example.predictions)
        again = repeated(found)
        twice.update(prediction.label for prediction in again)
        for truth, seen in found:
            if truth or seen not in again:
                counts[number[truth.label] if truth else -1, number[seen.label] if seen else -1] += 1
    return Confusion(names, counts.tolist(), with_background=True, repeated=[twice[label] for label in labels])


def example(image: Path, name: str, truth: list[Prediction], seen: list[Prediction]) -> Example:
    """Return an example with what is wrong and what is missed found out."""
    found = pairs(truth, seen)
    again = repeated(found)
    wrong = [two for one, two in found if two and (one.label != two.label if one else two not in again)]
    missed = [one for one, two in found if one and (not two or one.label != two.label)]
    return Example(image, name, truth, seen, wrong, missed, again)


def per_class(confusion: Confusion, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall and count of each class; 0 where nothing was predicted, or is there.

    A repeated prediction is not right, as COCO counts it.
    """
    counts = np.array(confusion.counts)
    again = confusion.repeated or [0] * len(labels)
    return {
        label: {
            "precision": _ratio(counts[index, index], counts[:, index].sum() + again[index]),
            "recall": _ratio(counts[index, index], counts[index].sum()),
            "count": float(counts[index].sum()),
        }
        for index, label in enumerate(labels)
    }


def _ratio(part: np.int64, whole: np.int64) -> float:
    return float(part / whole) if whole else 0.0
